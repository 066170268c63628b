
// A page in a hidden tab is told how far its run is, and no pictures that nobody looks at.
document.addEventListener("visibilitychange", function tell() {
  if (!element.isConnected) document.removeEventListener("visibilitychange", tell); // the board was made anew
  else trigger("seen", { now: !document.hidden });
});
