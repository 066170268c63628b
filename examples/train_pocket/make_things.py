"""Write things.tsv anew: the 492 first names stay, every other object of emojibase follows, with what each set has.

    python -m examples.train_pocket.make_things     # needs npm, the sprites, and some minutes

What is left out: flags, signs and symbols (arrows, letters, zodiac, buttons), clock faces, families told apart by their
members, and pictures that are only another's mirror image. The style, colour and tone columns are measured on the
sprites. Synonyms are the names other sets gave the same emoji (its CLDR label and the short codes of GitHub, Slack,
JoyPixels and emojibase), and the last word of a name ("apple" of "red apple") where emojibase tags it so and few things
share it; never a word that names another thing.
"""

import re
from collections import Counter

from .scenes.colours import BACKGROUNDS, colour_of, turns_truly
from .scenes.plurals import plural
from .scenes.sprites import NAMES_PACKAGE, TONES, Sprites, npm_pack, packed_json, plain
from .scenes.things import COMMON, HERE, STYLES

SHORTCODES = ("cldr", "github", "iamcal", "joypixels", "emojibase")
LEFT_OUT_GROUPS = {None, 2, 8, 9}  # regional letters, components, symbols, flags
LEFT_OUT = re.compile(
    r"o’clock|-thirty|facing right|: (man|woman|adult)|^family|hundred points|ZZZ|anger symbol|bubble|gesturing|"
    r"heart (decoration|exclamation)|motorway|bust|silhouette|(spade|heart|diamond|club) suit|speaking head|"
    r"vulcan|middle finger|symbols on mouth|head shaking|with curl|Mx Claus|getting massage|banknote$|"
    r"magnifying glass tilted right|index pointing (up|at the viewer)$|love hotel|chart increasing with yen|"
    r"person with skullcap|in steamy room|dotted|gibbous|bell with slash|"
    r"^(kiss|station|foggy|no one|astronaut$|firefighter$)"
)
SYMBOLS = {  # of the left-out groups, the ones that are objects or plain shapes
    "1f7e1": "yellow circle", "1f7e2": "green circle", "1f7e3": "purple circle", "1f7e4": "brown circle",
    "26ab": "black circle", "26aa": "white circle", "1f7e5": "red square", "1f7e7": "orange square",
    "1f7e6": "blue square", "1f7eb": "brown square", "2b1b": "black square", "2b1c": "white square",
    "1f536": "orange diamond", "1f537": "blue diamond", "1f53a": "red triangle", "26a0": "warning sign",
    "26d4": "no entry sign", "267b": "recycling symbol", "269c": "fleur-de-lis", "1f531": "trident",
    "1f6a9": "red flag", "1f3c1": "chequered flag", "1f38c": "crossed flags", "1f3f4": "black flag",
    "1f3f3": "white flag", "1f3f3-200d-1f308": "rainbow flag", "1f3f4-200d-2620": "pirate flag", "1f4db": "name badge",
}  # fmt: skip
RENAMED = {  # by label: plainer words, and another name where the first weights use the label for another picture
    "smiling face": "blushing smiling face", "angry face": "grumpy face", "crying face": "face with a tear",
    "camel": "dromedary", "calendar": "desk calendar", "train": "front of a train", "collision": "explosion",
    "pile of poo": "poo", "dizzy": "dizzy star", "ewe": "sheep", "1st place medal": "gold medal",
    "2nd place medal": "silver medal", "3rd place medal": "bronze medal", "mount fuji": "mount fuji",
    "backhand index pointing left": "hand pointing left", "backhand index pointing right": "hand pointing right",
    "backhand index pointing up": "hand pointing up", "backhand index pointing down": "hand pointing down",
    "blossom": "flower", "oncoming automobile": "front of a car", "oncoming bus": "front of a bus",
    "oncoming taxi": "front of a taxi", "oncoming police car": "front of a police car", "hot springs": "hot spring",
    "performing arts": "theatre masks", "closed mailbox with lowered flag": "mailbox with lowered flag",
    "open mailbox with raised flag": "open mailbox", "open mailbox with lowered flag": "empty mailbox",
    "person: bald": "bald person", "man: bald": "bald man", "woman: bald": "bald woman", "mechanical arm": "robot arm",
    "mechanical leg": "robot leg", "hourglass done": "hourglass with sand below", "construction": "road barrier",
    "building construction": "construction site", "cloud with lightning and rain": "thunderstorm cloud",
    "children crossing": "children crossing sign", "rosette": "rosette", "herb": "green herb", "ox": "ox",
    "wind face": "blowing wind face", "sparkles": "sparkles", "cyclone": "blue spiral", "wedding": "wedding chapel",
    "fingerprint": "fingerprint", "e-mail": "e-mail envelope", "link": "chain link", "knot": "knot of rope",
    "cricket game": "cricket bat and ball", "wood": "wooden logs", "ping pong": "ping pong paddle",
    "badminton": "badminton racket", "field hockey": "hockey stick", "lacrosse": "lacrosse stick",
    "ice hockey": "ice hockey stick", "telephone receiver": "telephone receiver", "softball": "yellow softball",
    "skier": "skier", "selfie": "hand taking a selfie", "black large square": "black square", "drop of blood":
    "drop of blood", "mahjong red dragon": "mahjong tile", "seat": "train seat", "hammer and pick": "hammer and pick",
}  # fmt: skip
UNFIT = set(  # short codes that are slang, brands, wrong, too vague, or only an attitude
    (
        "gun,pistol,iphone,android,hocho,eight ball,shirt,flipper,bar,light,sign,pump,board,piece,way,yes,no,night,"
        "stars,snow,departure,arrival,index,score,date,up,increasing,decreasing,compression,smoking,park,food,root,"
        "fruit,tea,drink,building,store,office,link,scroll,drop,mag,mega,art,direct hit,away,dash,mouse,polo,seat,"
        "track,train,note,low volume,high volume,medium volume,medium volumne,volume,sound,quiet sound,loud sound,"
        "speaker,mute,no sound,calling,construction,vehicle,rail,city sunrise,liquid,pour,oil,birthday,together,back,"
        "cooking,wedding,ceremony,disco,whisky,machine,decoration,party,tada,japan,americas,ice,ginger,rice,"
        "mountain snow,shopping,umbrella,email,mate drink,curry,piece,champagne,bullettrain side,bullettrain front,"
        "first place,second place,third place,clothes,prints,feet,leaves,wave,paper,milk,salt,coffee,bow,uniform,"
        "chain,symbol,homes,medal,picture,slide,card,box,tube,handball,stop,flags,karate uniform,plug,desktop,pot,"
        "statue,mountains,dollar,satellite orbital,fishing pole and fish,frame photo,racing,sunny,rainy,snowy,cloudy,"
        "partly sunny,mostly sunny,barely sunny,partly sunny rain,zap,recycle,warning,no entry,unlock,golf,head,"
        "hand over mouth,raising hand,roll eyes,rice scene,archery,soccer,bamboo,stick,rotating light,medal sports,"
        "medal military,dusk,city sunset,city dusk,joy cat,smile cat,scream cat,gift heart,spy,hats,bags,hotsprings,"
        "busstop,moneybag,fuelpump,house abandoned"
    ).split(",")
)
PERSONAL = {0, 1}  # groups of faces and people: a short code must keep the word that says what it is a picture of
NOUNS = set("face cat monkey heart man woman person hand fist eyes head hair dancer beard".split())
PERSONAL_NAMES = set(
    "skeleton,santa,clown,poop,lips,runner,surfer,swimmer,golfer,juggler,guardsman,guardswoman,policewoman,grandma,"
    "older adult,adult,spy,alien monster,angel,male doctor,female doctor,dancers,rowboat,bicyclist".split(",")
)


def name_of(label: str) -> str:
    """The emojibase label in the table's words: lower case, straight apostrophes, "with" instead of a colon."""
    label = RENAMED.get(label, label)
    return label.replace(": ", " with ").replace("’", "'").replace("“", "").replace("”", "").replace(".", "").lower()


def spoken(short_code: str) -> str:
    return re.sub(r"[_\-\s]+", " ", short_code).strip().lower()


def candidates(code: str, entry: dict, name: str, shortcodes: list[dict]) -> list[str]:
    """Other names of one emoji, in order, not yet checked against the other things."""
    label, tags, group = entry["label"], entry.get("tags", []), entry.get("group")
    found = [name_of(label)]
    for codes in shortcodes:
        given = codes.get(code, [])
        found += [spoken(given)] if isinstance(given, str) else [spoken(text) for text in given]
    last = name.split()[-1]
    if " " in name and last in tags and not re.search(r" (of|with|and|in|on) ", name):
        found.append(last)
    return [text for text in dict.fromkeys(found) if text != name and fits(text, name, spoken(label), group)]


def fits(text: str, name: str, label: str, group: int) -> bool:
    """True for a short code that reads as an English name: letters, no colour of its own, the usual word order."""
    words, known_words = text.split(), re.findall(r"[a-z']+", f"{name} {label}")
    if not re.fullmatch(r"[a-z][a-z' -]+", text) or text in UNFIT or text.startswith("lower left"):
        return False
    if any(word in BACKGROUNDS and word not in known_words for word in words):
        return False
    if plural(name) and plural(text) is None:
        return False  # "brick" is not "bricks"
    in_order = iter(known_words)
    if len(words) > 1 and set(words) <= set(known_words) and not all(word in in_order for word in words):
        return False  # "pen fountain"
    if group in PERSONAL and text not in PERSONAL_NAMES and not {"male", "female"} & set(words):
        return bool(set(words) & NOUNS & set(known_words))
    return True


def named_emoji() -> tuple[list[tuple[str, str]], dict[str, dict], list[dict]]:
    """-> the (code, name) pairs in table order, emojibase's entry and the short codes of each code."""
    archive = npm_pack(NAMES_PACKAGE)
    paths = [f"en/shortcodes/{kind}.json" for kind in SHORTCODES]
    entries, *shortcodes = packed_json(archive, "en/data.json", *paths)
    archive.unlink()
    by_code = {plain(entry["hexcode"]): entry for entry in entries}
    shortcodes = [{plain(code): given for code, given in codes.items()} for codes in shortcodes]
    rows = [line.split("\t")[:2] for line in (HERE / "things.tsv").read_text(encoding="utf-8").splitlines()]
    rows = [(code, name) for code, name in rows if code != "code"][:COMMON]
    taken = {plain(code) for code, _ in rows}
    for entry in sorted(entries, key=lambda e: e.get("order", 0)):
        code, label = plain(entry["hexcode"]), entry["label"]
        if code in taken:
            continue
        if code in SYMBOLS:
            rows.append((code, SYMBOLS[code]))
        elif entry.get("group") not in LEFT_OUT_GROUPS and not LEFT_OUT.search(label):
            rows.append((code, name_of(label)))
    return rows, by_code, shortcodes


def main() -> None:
    rows, by_code, shortcodes = named_emoji()
    sprites = Sprites()
    stored = {plain(c): c for style in reversed(STYLES) for c in sprites.codes[style]}
    rows = [(stored[plain(code)], name) for code, name in rows if plain(code) in stored]
    names = [name for _, name in rows]
    if repeated := [name for name, n in Counter(names).items() if n > 1]:
        raise SystemExit(f"These names stand for two things: {repeated}")
    others = []
    for code, name in rows:
        others.append(candidates(plain(code), by_code[plain(code)], name, shortcodes))
    shared = Counter(text for found in others for text in found)
    last_words = Counter(name.split()[-1] for name in names)
    lines = ["code\tname\tplural\tsynonyms\tstyles\tcolours\tturnable\ttoned\tcommon"]
    for i, ((code, name), found) in enumerate(zip(rows, others, strict=True)):
        fit = [t for t in found if t not in names and shared[t] <= 3 and last_words[t] <= 6]
        styles = [style for style in STYLES if sprites.has(style, code)]
        pictures = {style: sprites.named(style, code)[::2, ::2] for style in styles}  # fine enough for colours
        colours = {style: colour for style in styles if (colour := colour_of(pictures[style]))}
        toned = [style for style in styles if all(sprites.has(style, f"{code}+{tone}") for tone in TONES)]
        turnable = [] if toned else [style for style in styles if turns_truly(pictures[style])]  # skin stays
        cells = [fit[:3], styles, [f"{style}:{colour}" for style, colour in colours.items()], turnable, toned]
        lines.append("\t".join([code, name, plural(name) or "", *map(";".join, cells), str(int(i < COMMON))]))
    (HERE / "things.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(len(rows), "things")


if __name__ == "__main__":
    main()
