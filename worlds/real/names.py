# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Names of things: one or two words that people say, joined across vendors, with their articles and plurals."""

import re

_EMOJI_GROUPS = ("Animals & Nature", "Food & Drink", "Activities", "Travel & Places", "Objects")
_OTHER_EMOJI = (  # of groups that are mostly faces, gestures and people
    "skull ghost alien robot ear nose tooth bone brain foot leg eye tongue mouth baby boy girl man woman ninja prince "
    "princess mermaid fairy vampire zombie elf genie footprints astronaut firefighter farmer cook detective"
).split()
_RENAMED = {  # CLDR's name, and what people say; several may become one thing
    **{
        f"{animal} face": animal
        for animal in "monkey dog cat tiger horse cow pig mouse rabbit dragon fox bear clown".split()
    },
    **{f"{hour} o’clock": "clock" for hour in "twelve one two three four five six seven eight nine ten eleven".split()},
    **{f"{hour}-thirty": "clock" for hour in "twelve one two three four five six seven eight nine ten eleven".split()},
    "mantelpiece clock": "clock",
    "timer clock": "timer",
    "guide dog": "dog",
    "service dog": "dog",
    "two-hump camel": "camel",
    "ewe": "sheep",
    "hatching chick": "chick",
    "baby chick": "chick",
    "front-facing baby chick": "chick",
    "t-rex": "dinosaur",
    "sauropod": "dinosaur",
    "spouting whale": "whale",
    "spiral shell": "shell",
    "honeybee": "bee",
    "lady beetle": "ladybug",
    "evergreen tree": "tree",
    "deciduous tree": "tree",
    "leafless tree": "tree",
    "four leaf clover": "clover",
    "shamrock": "clover",
    "potted plant": "plant",
    "red apple": "apple",
    "green apple": "apple",
    "kiwi fruit": "kiwi",
    "tangerine": "orange",
    "ear of corn": "corn",
    "leafy green": "lettuce",
    "ginger root": "ginger",
    "brown mushroom": "mushroom",
    "baguette bread": "baguette",
    "cheese wedge": "cheese",
    "poultry leg": "chicken leg",
    "soft ice cream": "ice cream",
    "shortcake": "cake",
    "hot beverage": "coffee",
    "glass of milk": "milk",
    "cooked rice": "rice",
    "beer mug": "beer",
    "kitchen knife": "knife",
    "jack-o-lantern": "pumpkin",
    "wrapped gift": "gift",
    "admission tickets": "ticket",
    "tennis": "tennis ball",
    "american football": "football",
    "rugby football": "rugby ball",
    "flying disc": "frisbee",
    "ice skate": "skate",
    "fishing pole": "fishing rod",
    "running shirt": "vest",
    "bullseye": "target",
    "game die": "dice",
    "framed picture": "painting",
    "artist palette": "palette",
    "automobile": "car",
    "oncoming automobile": "car",
    "oncoming bus": "bus",
    "oncoming taxi": "taxi",
    "oncoming police car": "police car",
    "articulated lorry": "truck",
    "delivery truck": "truck",
    "fire engine": "fire truck",
    "small airplane": "airplane",
    "airplane departure": "airplane",
    "airplane arrival": "airplane",
    "high-speed train": "train",
    "bullet train": "train",
    "motor boat": "boat",
    "passenger ship": "ship",
    "fuel pump": "gas pump",
    "ring buoy": "life buoy",
    "snow-capped mountain": "mountain",
    "hourglass done": "hourglass",
    "hourglass not done": "hourglass",
    "sun with face": "sun",
    "full moon face": "full moon",
    "new moon face": "new moon",
    "first quarter moon face": "crescent moon",
    "last quarter moon face": "crescent moon",
    "glowing star": "star",
    "sun behind cloud": "cloud",
    "cloud with rain": "rain",
    "cloud with snow": "snow",
    "cloud with lightning": "lightning",
    "closed umbrella": "umbrella",
    "umbrella with rain drops": "umbrella",
    "umbrella on ground": "umbrella",
    "snowman without snow": "snowman",
    "water wave": "wave",
    "sneezing face": "sneeze",
    "woman’s hat": "hat",
    "billed cap": "cap",
    "man’s shoe": "shoe",
    "running shoe": "sneaker",
    "hiking boot": "boot",
    "woman’s boot": "boot",
    "high-heeled shoe": "high heel",
    "thong sandal": "sandal",
    "woman’s sandal": "sandal",
    "one-piece swimsuit": "swimsuit",
    "shopping bags": "shopping bag",
    "t-shirt": "shirt",
    "necktie": "tie",
    "gem stone": "diamond",
    "bellhop bell": "bell",
    "headphone": "headphones",
    "musical keyboard": "piano",
    "studio microphone": "microphone",
    "long drum": "drum",
    "mobile phone": "phone",
    "telephone receiver": "telephone",
    "electric plug": "plug",
    "desktop computer": "computer",
    "computer disk": "disk",
    "floppy disk": "disk",
    "optical disk": "disk",
    "dvd": "disk",
    "camera with flash": "camera",
    "television": "television",
    "magnifying glass tilted left": "magnifying glass",
    "magnifying glass tilted right": "magnifying glass",
    "closed book": "book",
    "books": "book",
    "open book": "book",
    "green book": "book",
    "blue book": "book",
    "orange book": "book",
    "rolled-up newspaper": "newspaper",
    "dollar banknote": "banknote",
    "yen banknote": "banknote",
    "euro banknote": "banknote",
    "pound banknote": "banknote",
    "tear-off calendar": "calendar",
    "spiral calendar": "calendar",
    "spiral notepad": "notepad",
    "round pushpin": "pin",
    "pushpin": "pin",
    "linked paperclips": "paperclip",
    "straight ruler": "ruler",
    "triangular ruler": "ruler",
    "wastebasket": "trash can",
    "locked": "lock",
    "unlocked": "lock",
    "old key": "key",
    "pick": "pickaxe",
    "crossed swords": "sword",
    "carpentry saw": "saw",
    "adhesive bandage": "bandage",
    "roll of paper": "toilet paper",
    "balance scale": "scale",
    "shovel": "shovel",
    "funeral urn": "urn",
    "bow and arrow": "bow",
    "manual wheelchair": "wheelchair",
    "motorized wheelchair": "wheelchair",
    "nest with eggs": "nest",
    "empty nest": "nest",
    "maple leaf": "leaf",
    "fallen leaf": "leaf",
    "playground slide": "slide",
    "hot pepper": "chili pepper",
    "houses": "house",
    "derelict house": "house",
    "house with garden": "house",
    "tram car": "tram",
    "ringed planet": "planet",
    "film projector": "projector",
    "clapper board": "clapperboard",
    "musical notes": "musical note",
    "black bird": "blackbird",
    "avocado fruit": "avocado",
    "chile pepper": "chili pepper",
    "kiwifruit": "kiwi",
    "lightbulb": "light bulb",
    "garbage can": "trash can",
    "wheelie bin": "trash can",
    "fireman": "firefighter",
    "sock": "socks",
    "glove": "gloves",
    "another tombstone": "tombstone",
    "headstone": "tombstone",
    "gravestone": "tombstone",
    "grave marker": "tombstone",
    "cemetery marker": "tombstone",
    "monument stone": "tombstone",
    "rhino": "rhinoceros",
    "bunny": "rabbit",
    "boars": "boar",
    "garlic bulb": "garlic",
    "mountaingoat": "mountain goat",
    "lightning bolt": "lightning",
    "hibiscus flower": "hibiscus",
    "adelaide rosella": "rosella",
    "cherimoya fruit": "cherimoya",
    "star petunia": "petunia",
    "flowers": "flower",
    "pigface flower": "flower",
    "knights helmet": "helmet",
    "vw beetle": "car",
    "steam locomotive": "locomotive",
    "chick inside an egg": "chick",
    "dream house": "house",
    "pine wreath": "wreath",
    "cement truck": "truck",
}
_NO_STAMPS = frozenset(  # first words of a sentence about something else, or drawings that few people would name so
    "appooppan thaadi;tux;tux airways;down;boom;spider dancing;flower covered;magic stones;city;mine;earth;dreidel;"
    "train sign;university;fishery;inn;tavern;tux and spider;tux the penguin;edward bear;blacksmith shop;farm;"
    "mercury;venus;mars;jupiter;saturn;uranus;neptune;pluto;santa claus;eiffel tower;xanthia".split(";")
)
_LEFT_OUT = frozenset(  # moods, signs, places without a shape, what few people would name
    """paw prints;pig nose;bowling;rosette;wilted flower;blossom;herb;white flower;turkey;microbe;beans;stuffed flatbread;
    flatbread;canned food;bento box;rice cracker;curry rice;steaming bowl;oden;moon cake;dango;tamale;fondue;cooking;
    takeout box;shaved ice;sake;clinking glasses;tumbler glass;pouring liquid;beverage box;mate;ice;amphora;custard;
    tropical drink;sparkles;confetti ball;tanabata tree;pine decoration;japanese dolls;carp streamer;red envelope;
    ribbon;reminder ribbon;military medal;performing arts;joker;spade suit;heart suit;diamond suit;club suit;
    cricket game;field hockey;ice hockey;lacrosse;ping pong;badminton;goal net;nesting dolls;mirror ball;softball;
    landslide;camping;desert;national park;classical building;building construction;rock;wood;love hotel;
    department store;convenience store;post office;wedding;kaaba;hindu temple;shinto shrine;foggy;cityscape;sunrise;
    sunset;hot springs;railway car;light rail;metro;mountain railway;trolleybus;minibus;motorway;construction;
    suspension railway;mountain cableway;aerial tramway;high voltage;milky way;fog;wind face;cyclone;mount fuji;
    tokyo tower;japanese castle;bank;station;school;hotel;hospital;office building;factory;monorail;locomotive;
    clutch bag;woman’s clothes;briefs;shorts;safety vest;prayer beads;muted speaker;postal horn;musical score;
    level slider;control knobs;pager;fax machine;low battery;trackball;videocassette;diya lamp;film frames;ledger;
    bookmark tabs;bookmark;label;receipt;e-mail;incoming envelope;outbox tray;inbox tray;black nib;memo;card index;
    chart increasing;chart decreasing;bar chart;file folder;alembic;clamp;link;broken chain;chains;petri dish;dna;
    nazar amulet;hamsa;moai;placard;identification card;x-ray;bubbles;lotion bottle;elevator;mouse trap;headstone;
    cigarette;coffin;ogre;white cane;yen banknote;dodo;flat shoe;hair pick;military helmet;oil drum;railway track;
    crutch;hook;file cabinet;boar;melting face;seat;knot;credit card;diving mask;curling stone;chess pawn;hut;brick;
    root vegetable;pea pod;green salad;bookmark;package;cut of meat;musical note""".replace("\n", " ").split(";")
) | {""}
_LEFT_OUT = frozenset(name.strip() for name in _LEFT_OUT)

_COLOURS = "red green blue yellow white black brown grey gray pink purple orange silver golden".split()
_ADJECTIVES = frozenset(
    _COLOURS
    + """little big great large small very wild old modern old-fashioned happy sleeping singing ripe sweet lit electric
    classical wooden metal colorful colourful floppy-eared closed open sliced spiny freshwater poisonous male female
    european indian american medieval round square fairytale folded digital huge toy baby albino stripey monarch
    common plastic dark light long short eared headed tall wrapped garden magellanic sumatran tamworth helmeted
    crowned emperor rainbow silver hard red-nosed sitting fuji granny smith passenger walnut""".split()
)
_LEADS = re.compile(
    r"^(?:an?|the|some|our|two|eat your|say|a pair of|pair of|bunch of|head of|cluster of|couple of|string of|"
    r"quarter of|very) ",
    re.IGNORECASE,
)
_NOT_THAT_THING = frozenset(  # compounds that are no kind of their last word
    """sea lion;guinea pig;hot air balloon;bass guitar drum;crash cymbal;rubber duck;prairie dog;polar bear;teddy bear;
    edward bear;toy train;apple core;four leaf clover;goal posts;clothes hanger;christmas light;wind mill;
    sword in the stone;chocolate easter egg;party horn;gravestone;grave marker;pasta pot;tealight candle;
    trophy cup;wishing well;roast turkey;turkey;coral trout;watch tower;town hall;cricket ball;tennis racket;
    dream house;fountain of youth;traffic cone;road sign;train sign;rag doll;cement truck;christmas stocking;
    bulb ornament;mince pie""".replace("\n", " ").split(";")
)
_NOT_THAT_THING = frozenset(name.strip() for name in _NOT_THAT_THING)

_PLURALS = frozenset(
    """grapes cherries blueberries peanuts pancakes french_fries glasses sunglasses goggles jeans gloves socks scissors
    chopsticks headphones maracas fireworks skis pants pliers binoculars footprints ballet_shoes holly_leaves""".split()
)
_MASS = frozenset(
    """bread rice popcorn butter salt soap fire rain snow garlic broccoli corn milk coffee beer bacon sushi spaghetti
    honey cheese lightning confetti lettuce ginger coral yarn bamboo toilet_paper bubble_tea lavender thyme
    chocolate thread""".split()
)
_IRREGULAR = {
    "mouse": "mice",
    "goose": "geese",
    "ox": "oxen",
    "man": "men",
    "woman": "women",
    "tooth": "teeth",
    "foot": "feet",
    "knife": "knives",
    "leaf": "leaves",
    "wolf": "wolves",
    "elf": "elves",
    "sheep": "sheep",
    "deer": "deer",
    "fish": "fish",
    "moose": "moose",
    "dice": "dice",
    "computer mouse": "computer mice",
}


def emoji_thing(name: str, group: str) -> str | None:
    """The thing that an emoji of CLDR's short name shows; None for what is no thing of this world."""
    name = name.lower()
    if name in _LEFT_OUT:
        return None
    if name in _RENAMED:
        return _RENAMED[name]
    if group in _EMOJI_GROUPS or name in _OTHER_EMOJI:
        return name if re.fullmatch(r"[a-z]+(?: [a-z]+)?", name) else None
    return None


def stamp_thing(sentence: str, known: frozenset[str]) -> str | None:
    """The thing that a stamp's sentence names: one of `known`, or a new one; None for what is not about one thing."""
    phrase = noun_phrase(sentence)
    if phrase is None or phrase in _NO_STAMPS:
        return None
    words = phrase.split()
    while len(words) > 1 and words[0] in _ADJECTIVES and " ".join(words) not in known:
        words = words[1:]
    phrase = " ".join(words)
    phrase = _RENAMED.get(phrase, phrase)
    if phrase in _NO_STAMPS:
        return None
    if phrase in known or phrase in _NOT_THAT_THING:
        return phrase if phrase in known or len(phrase.split()) <= 2 else None
    for count in (2, 1):
        tail = " ".join(words[-count:])
        tail = _RENAMED.get(tail, tail)
        for candidate in (tail, singular(tail)):
            if candidate in known:
                return candidate
    return phrase if len(words) <= 2 else None


def noun_phrase(sentence: str) -> str | None:
    """What a sentence such as "A big, red dog (a pet)." names, without article: "big red dog"; None if it is longer."""
    first = re.split(r"[.!?(;:—–]|, from|, for| - | with | in | at | of the | for | used | is | are ", sentence)[0]
    text = first.replace(",", " ").replace("“", "").replace("”", "").replace("'", "").replace("’", "").lower()
    text = " ".join(text.split())
    while (shorter := _LEADS.sub("", text + " ").strip()) != text:
        text = shorter
    return text if re.fullmatch(r"[a-z-]+(?: [a-z-]+){0,3}", text) else None


def singular(name: str) -> str:
    """A plain plural's singular; other words as they are."""
    return name[:-1] if name.endswith("s") and not name.endswith("ss") else name


def is_plural(name: str) -> bool:
    return name.replace(" ", "_") in _PLURALS


def is_countable(name: str) -> bool:
    """Whether one can see two of it: "two dogs", but not "two breads" or "two jeans"."""
    return not is_plural(name) and name.replace(" ", "_") not in _MASS


def plural(name: str) -> str:
    """Several of a thing that is countable."""
    if name in _IRREGULAR:
        return _IRREGULAR[name]
    if re.search(r"(s|x|ch|sh|z)$", name):
        return name + "es"
    if re.search(r"[^aeiou]y$", name):
        return name[:-1] + "ies"
    if re.search(r"(tomato|potato|mango|volcano)$", name):
        return name + "es"
    return name + "s"


def a(name: str) -> str:
    """The thing with its article: "an apple", "some bread"."""
    if not is_countable(name):
        return f"some {name}"
    vowel = name[0] in "aeiou" and not re.match(r"uni|ukulele|ute|euro|one", name)
    return f"{'an' if vowel else 'a'} {name}"
