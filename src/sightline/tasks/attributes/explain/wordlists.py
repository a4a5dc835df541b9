"""The few lists that noun phrases need beyond rules: what two data sets call things, and how parts lie together.

Data only. A line such as `"eats": "fish, meat=meat"` lists attributes by the verb that says them; `=` gives other
words than the name itself.
"""

from __future__ import annotations

AWA2 = {
    "has": """black=black coloring, white=white coloring, blue=blue coloring, brown=brown coloring,
        gray=gray coloring, orange=orange coloring, red=red coloring, yellow=yellow coloring, patches, spots,
        stripes, toughskin=tough skin, flippers, hands, hooves, pads=padded feet, paws, longleg=long legs,
        longneck=a long neck, tail=a tail, chewteeth=teeth for chewing, meatteeth=teeth for meat,
        buckteeth=buck teeth, strainteeth=teeth for straining, horns, claws, tusks, nestspot=a nest""",
    "is": """furry, hairless, big, small, bulbous, lean, smelly, fast, slow, strong, weak, muscle=muscular,
        bipedal, quadrapedal=quadrupedal, active, inactive, nocturnal, agility=agile, forager=a forager,
        grazer=a grazer, hunter=a hunter, scavenger=a scavenger, skimmer=a skimmer, stalker=a stalker, fierce,
        timid, smart, solitary, domestic""",
    "": """flys=flies, hops, swims, tunnels, walks, hibernate=hibernates""",
    "eats": """fish, meat, plankton, vegetation=plants, insects""",
    "lives in": """newworld=the New World, oldworld=the Old World, arctic=the arctic, coastal=coastal areas,
        desert=the desert, bush=the bush, plains=the plains, forest=the forest, fields, jungle=the jungle,
        mountains=the mountains, ocean=the ocean, water, tree=trees, cave=caves, group=groups""",
    "lives on": """ground=the ground""",
}
"""The 85 predicates of Animals with Attributes 2."""

SUN = {
    "shows": """sailing/ boating, driving, biking, transporting things or people, sunbathing, vacationing/ touring,
        hiking, climbing, camping, reading, studying/ learning, teaching/ training, research, diving, swimming,
        bathing, eating, cleaning, socializing, congregating, waiting in line/ queuing, competing, sports,
        exercise, playing, gaming, spectating/ being in an audience, farming, constructing/ building, shopping,
        medical activity, working, using tools, digging, conducting business, praying, fencing, railing=railings,
        wire, railroad=a railroad, trees, grass, vegetation, shrubbery, foliage, leaves, flowers, asphalt,
        pavement, shingles, carpet, brick, tiles, concrete, metal, paper, wood (not part of a tree)=cut wood,
        vinyl/ linoleum, rubber/ plastic, cloth, sand, rock/stone, dirt/soil, marble, glass, waves/ surf,
        ocean=the ocean, running water, still water, ice, snow, clouds, smoke, fire""",
    "has": """natural light, direct sun/sunny=direct sun, electric/indoor lighting,
        far-away horizon=a far-away horizon, no horizon, mostly vertical components,
        mostly horizontal components""",
    "is": """aged/ worn, glossy, matte, sterile, moist/ damp, dry, dirty, rusty, warm, cold, natural, man-made,
        open area=an open area, semi-enclosed area=a semi-enclosed area, enclosed area=an enclosed area,
        rugged scene=a rugged scene, symmetrical, cluttered space=a cluttered space, scary, soothing, stressful""",
}
"""The 102 attributes of the SUN attribute database."""

WHOLE = {
    "bill_shape::curved": "curved bill",
    "bill_shape::needle": "needle-shaped bill",
    "bill_shape::dagger": "dagger-shaped bill",
    "bill_shape::cone": "cone-shaped bill",
    "bill_length::about_the_same_as_head": "bill about as long as the head",
    "bill_length::longer_than_head": "bill longer than the head",
    "bill_length::shorter_than_head": "bill shorter than the head",
    "head_pattern::malar": "malar stripe",
    "head_pattern::masked": "masked face",
    "head_pattern::unique_pattern": "unique head pattern",
    "head_pattern::eyebrow": "eyebrow stripe",
    "head_pattern::eyering": "eye ring",
    "head_pattern::eyeline": "eye line",
    "shape::upright-perching_water-like": "upright-perching water-bird shape",
    "shape::chicken-like-marsh": "chicken-like marsh-bird shape",
    "shape::long-legged-like": "long-legged bird shape",
    "shape::perching-like": "perching-bird shape",
    "shape::tree-clinging-like": "tree-clinging bird shape",
    "shape::upland-ground-like": "upland ground-bird shape",
}
"""Names in the way of CUB (without `has_`) that no rule says well."""

NOUNS = {"leg": "legs", "wing": "wings", "under tail": "undertail"}
"""What a part is called in a phrase, where that is not its name."""

PLURALS = frozenset({"feet", "legs", "wings", "upperparts", "underparts"})
"""Nouns that stand without article."""

MASS = frozenset({"plumage", "coloring", "skin", "hair", "fur", "lipstick"})
"""Nouns without article or plural."""

NEIGHBOURS = {
    "crown": ("forehead", "nape"),
    "nape": ("back", "upperparts"),
    "back": ("wings", "upper tail", "upperparts"),
    "upperparts": ("wings", "upper tail"),
    "upper tail": ("undertail",),
    "throat": ("breast", "underparts"),
    "breast": ("belly", "underparts"),
    "belly": ("underparts", "undertail"),
    "underparts": ("undertail",),
}
"""Nouns of parts that lie together, each pair once."""
