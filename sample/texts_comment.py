"""Code-mixed comments, as people write under videos: Malayalam in Latin letters, English, some Malayalam script.

Written for this project; no native speaker has checked it. The label of a line follows from its words: praise, blame,
both, neither, or another language.
"""

SLOTS: dict[str, str] = {
    "what": "video; song; trailer; padam; ee channel; cooking video; ee short film; climax; bgm; teaser; "
    "interview; vlog; ee episode; second half; travel video; new phone review",
    "who": "chetta; bro; chechi; machane; sir; ikka; ettan; guys; team; mone",
    "good": "adipoli; super; kidu; poli; pwoli sanam; nannayittund; ishtapettu; heavy aanu; oru rakshayumilla; "
    "kollam; mass; kalakki; അടിപൊളി; ഗംഭീരം; thakarthu; pettennu ishtamayi",
    "bad": "bore aanu; kollilla; waste aanu; ishtapettilla; chali aayi; paali poyi; thallu mathram; "
    "valare mosham; time poyi; verupichu; മോശം; ബോറടിച്ചു; sahikkan vayya; flop urappu; "
    "onninum kollilla; kashtam thanne",
    "praise": "waiting for next; full support; njan pinneyum kandu; hit urappu; ellarum kaananam; love you; "
    "thanks und; manassu niranju; theatre il kaanum; congrats; kandirikkan nalla rasam; വീണ്ടും കണ്ടു",
    "blame": "nirthikkode; njan pakuthikku nirthi; unsubscribe cheythu; paisa poyi; ini kaanilla; "
    "report adichu; dislike adichu; enthinu ithu cheyyunnu; urangi poyi; പണം പോയി; aarum kaanalle; "
    "niraasha aayi",
    "laugh": "haha; 😂; 🔥; ❤️; ❤️❤️; 😍; 👏; 💯",
    "sad": "😡; 👎; 😴; 🤦; 😞; ayyo; cha; 🥱",
    "part": "acting; story; bgm; camera; editing; sound; dialogue; lighting; first half; comedy; script; direction",
    "ask": "eppo release aakum; evideya shoot cheythe; ethra roopaya; number tharamo; link undo; "
    "next part eppo; ithu ethu phone aanu; aara ithil hero; evide kittum; എപ്പോൾ വരും; camera ethaanu; "
    "subtitles undo",
    "place": "Kochi; Trivandrum; Kozhikode; Thrissur; Kollam; Kannur; Palakkad; Dubai; Bangalore; Wayanad",
    "fact": "njan ippo kandathe ullu; trailer innale vannu; njan gulf il ninnanu; 1 lakh views aayi; "
    "release friday aanu; part 2 varum; like button amarthu; 2019 il shoot cheythathanu; "
    "aarenkilum undo ivide; സമയം രാത്രി പത്ത്; first comment njan aanu",
    "english": "what a lovely song; please add subtitles; who is the director; worst movie of this year; "
    "I watched it three times; greetings from London; the camera is too shaky; "
    "can someone explain the ending; this made me cry; not my kind of music; when is the next part; "
    "so boring",
    "tamil": "semma padam bro; naan tamil nadu la irundhu; romba nalla irukku; enna paattu idhu; "
    "idhu eppo varum; vera level; kettu kettu alukkudhu",
    "hindi": "bahut accha gaana hai; yeh kab aayega; mujhe samajh nahi aaya; kya baat hai bhai; bilkul bakwas; "
    "dil khush ho gaya; hum delhi se hain",
}

TEMPLATES: dict[str, str] = {
    "Positive": """
{what} {good} {laugh}
{who} {what} {good}
{good} {who}, {praise}
{what} kandu, {good} {praise}
{who} {part} {good}, {praise} {laugh}
ee {part} {good} ennu parayathe vayya
{part} {good} {part} {good}
{place} il ninnu, {what} {good} {laugh}
{who} {praise} {laugh}
""",
    "Negative": """
{what} {bad} {sad}
{who} {what} {bad}
{bad} {who}, {blame}
{what} kandu, {bad} {blame}
{who} {part} {bad}, {blame} {sad}
ee {part} {bad} ennu parayathe vayya
{part} {bad} {part} {bad}
{place} il ninnu, {what} {bad} {sad}
{who} {blame} {sad}
""",
    "Mixed_feelings": """
{part} {good} pakshe {part} {bad}
{what} {good}, but {part} {bad}
{part} {bad} enkilum {what} {good}
{who} {part} {good}, pakshe {part} {bad} 🤔
{what} kandu, {part} {good} but {part} {bad} {sad}
first half {good}, second half {bad}
{praise} pakshe {part} {bad}
""",
    "unknown_state": """
{who} {ask}
{what} {ask}
{ask} {who}
{place} il ninnu aarenkilum undo
{fact}
{who} {fact}
{what} kandilla, {ask}
{what} {ask} {who}
{place} il {ask}
{fact}, {ask}
""",
    "not-malayalam": """
{english}
{tamil} {laugh}
{hindi} {laugh}
{english} {laugh}
{tamil}, {english}
{hindi}, {english}
{english}, {english}
{tamil} {who}
{hindi} bro {laugh}
{place}: {english}
""",
}
