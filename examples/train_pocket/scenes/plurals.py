"""English plurals for the names of things: "cup of coffee" -> "cups of coffee"; None for what is not counted."""

import re

IRREGULAR = {
    "mouse": "mice", "tooth": "teeth", "foot": "feet", "goose": "geese", "ox": "oxen", "child": "children",
    "man": "men", "woman": "women", "person": "people", "knife": "knives", "leaf": "leaves", "wolf": "wolves",
    "loaf": "loaves", "elf": "elves", "policeman": "policemen", "snowman": "snowmen", "merman": "mermen",
    "fish": "fish", "blowfish": "blowfish", "jellyfish": "jellyfish", "sheep": "sheep", "deer": "deer",
    "moose": "moose", "bison": "bison", "shrimp": "shrimp", "squid": "squid", "dice": "dice", "yo-yo": "yo-yos",
    "potato": "potatoes", "tomato": "tomatoes", "mango": "mangoes", "volcano": "volcanoes", "die": "dice",
    "superhero": "superheroes", "scarf": "scarves", "sheaf": "sheaves",
    "merperson": "merpeople", "guardsman": "guardsmen",
}  # fmt: skip
PEOPLE = {"man", "woman", "person"}
# the first of these ends the part of a name that takes the plural
LINKS = re.compile(r" (?:of|with|without|in|on|behind|at|for|to|under|over|blowing|covering|showing|savoring|holding) ")
# names of stuff, of pairs and of many things at once
UNCOUNTED = set(
    "bread bacon corn garlic lettuce broccoli popcorn spaghetti sushi soap dna fire sun rice milk salt salad "
    "chocolate ice butter sake fog foggy landslide sunrise sunset cheese coral rainbow lightning wood wind hair "
    "equipment clothing luggage camping curling cricket lacrosse hockey badminton tennis bowling skateboarding "
    "custard ginger collision tea beer oden fondue sparkle yarn thread fingerprint fries massage arts football "
    "wrestling handball racing haircut paper statue_of_liberty santa_claus fried_shrimp water_wave milky_way "
    "star-struck dashing_away hand_pointing_left hand_pointing_right hand_pointing_down palms_up_together "
    "thumbs_up thumbs_down hand_taking_a_selfie skis locked raised_back_of_hand unlocked locked_with_pen "
    "locked_with_key breast-feeding mrs_claus meat_on_bone mate page_facing_up volume money_with_wings mount_fuji "
    "tokyo_tower kaaba night_with_stars front_of_a_train front_of_a_bus front_of_a_taxi front_of_a_car "
    "front_of_a_police_car pouring_liquid canned_food phoenix rolling_on_the_floor_laughing map_of_japan "
    "globe_showing_europe-africa globe_showing_americas globe_showing_asia-australia".split()
)


def plural(name: str) -> str | None:
    """The plural of a thing's name, or None where counting it would sound wrong."""
    words = name.split()
    if words[0] in PEOPLE:
        role = len(words) > 1 and not words[1].endswith("ing") and words[1] not in {"with", "in"}
        rest = [plural(" ".join(words[1:])) or ""] if role else words[1:]  # "woman pilot", but "woman running"
        return " ".join([IRREGULAR[words[0]], *rest])
    if words[0] in {"people", "men", "women"} or " and " in name or ":" in name or "," in name:
        return None
    link = LINKS.search(name)
    head, rest = (name[: link.start()], name[link.start() :]) if link else (name, "")
    *before, last = head.split()
    if name.replace(" ", "_") in UNCOUNTED or last in UNCOUNTED or last.endswith(("ing", "ics")) and before:
        return None
    if last in IRREGULAR:
        many = IRREGULAR[last]
    elif last.endswith("s") and not last.endswith(("ss", "us", "is")):
        return None  # already many: grapes, scissors, jeans
    elif last.endswith(("s", "x", "z", "ch", "sh")):
        many = last + "es"
    elif last.endswith("y") and last[-2] not in "aeiou":
        many = last[:-1] + "ies"
    else:
        many = last + "s"
    return " ".join([*before, many]) + rest
