"""Opinions on products and services in Malayalam script, with their sentiment: the base domain of the sentiment model.

Written for this project; no native speaker has checked it. The label of a line follows from its words: praise, blame,
both, neither, or another language.
"""

SLOTS: dict[str, str] = {
    "item": "ഈ ഫോൺ; ഈ മിക്സി; ഈ ഫാൻ; ഈ സാരി; ഈ ക്യാമറ; ഈ മോഡം; ഈ സൈക്കിൾ; ഈ പുസ്തകം; ഈ ടിവി; ഈ ചെരുപ്പ്; "
    "ഈ ബാഗ്; ഈ സോപ്പ്; ഈ വാച്ച്; ഈ ഹെഡ്ഫോൺ; ഈ സിം കാർഡ്; ഈ കുക്കർ",
    "service": "ഈ ഹോട്ടൽ; ഈ ആപ്പ്; ഈ സിനിമ; ഈ കട; ഈ ബസ് സർവീസ്; ഈ ഇന്റർനെറ്റ് പ്ലാൻ; ഈ ബാങ്ക്; ഈ കസ്റ്റമർ കെയർ",
    "aspect": "വില; ഗുണമേന്മ; ഡെലിവറി; പാക്കിങ്; സർവീസ്; ഡിസൈൻ; ഭക്ഷണം; ശബ്ദം; നിറം; ജീവനക്കാരുടെ പെരുമാറ്റം; കസ്റ്റമർ കെയർ",
    "good": "നല്ലതാണ്; വളരെ നല്ലതാണ്; ഗംഭീരമാണ്; മികച്ചതാണ്; അടിപൊളിയാണ്; മനോഹരമാണ്; ഉഗ്രനാണ്; ഒന്നാന്തരമാണ്",
    "bad": "മോശമാണ്; വളരെ മോശമാണ്; തീരെ പോരാ; വെറും ചവറാണ്; പരിതാപകരമാണ്; നിരാശാജനകമാണ്; സഹിക്കാൻ വയ്യ; ഒന്നിനും കൊള്ളില്ല",
    "praise": "എനിക്ക് ഒരുപാട് ഇഷ്ടപ്പെട്ടു; എല്ലാവരും വാങ്ങണം; പണം മുതലായി; വീട്ടിൽ എല്ലാവർക്കും സന്തോഷമായി; "
    "വീണ്ടും വാങ്ങും; ധൈര്യമായി വാങ്ങാം; നന്ദി, വളരെ സന്തോഷം; പ്രതീക്ഷിച്ചതിലും നന്നായി",
    "blame": "പണം വെറുതെ പോയി; ആരും വാങ്ങരുത്; രണ്ട് ദിവസം കൊണ്ട് കേടായി; വാങ്ങിയത് അബദ്ധമായി; "
    "തിരിച്ചുകൊടുത്തു; ഇനി വാങ്ങില്ല; പരാതി പറഞ്ഞിട്ടും ഫലമില്ല; ആകെ നിരാശനായി",
    "person": "അമ്മയ്ക്ക്; അച്ഛന്; ഭാര്യയ്ക്ക്; മകൾക്ക്; മകന്; കൂട്ടുകാർക്ക്; ചേച്ചിക്ക്; അനിയന്",
    "when": "ഇന്നലെ; കഴിഞ്ഞ ആഴ്ച; രണ്ട് ദിവസം മുമ്പ്; കഴിഞ്ഞ മാസം; ഓണത്തിന്; ഇന്ന് രാവിലെ",
    "ask": "എവിടെ കിട്ടും; എത്ര രൂപയാണ്; എപ്പോൾ എത്തും; വാറന്റി എത്ര കാലം; വേറെ നിറമുണ്ടോ; "
    "ആരെങ്കിലും ഉപയോഗിച്ചിട്ടുണ്ടോ; ഓൺലൈനിൽ ഉണ്ടോ; തിരികെ നൽകാമോ",
    "hindi": "यह बहुत अच्छा है; यह कब मिलेगा; बिल्कुल बेकार है; मुझे यह नहीं चाहिए; कीमत कितनी है; दुकान कहाँ है",
    "tamil": "இது மிகவும் நல்லது; விலை எவ்வளவு; இது வேண்டாம்; எங்கே கிடைக்கும்; எனக்கு பிடிக்கவில்லை; நேற்று வாங்கினேன்",
    "eng_item": "This phone; This mixer; The fan; This app; The hotel; This movie; The book; This bag; "
    "The internet plan; This shop; The cooker; This saree",
    "eng_say": "is worth the money; arrived two days late; is not for me; works as it should; "
    "stopped after a week; looks fine to me; costs too much; came without a bill; "
    "has a one year warranty; is out of stock; needs an update; was a gift from my sister",
    "eng_end": "thank you; please reply; five stars; do not buy; will order again; call me back; any offers; "
    "just my view",
}

TEMPLATES: dict[str, str] = {
    "Positive": """
{item} {good}, {praise}
{item} വാങ്ങിയത് {person} വേണ്ടിയാണ്, {praise}
{when} വാങ്ങി, {aspect} {good}
{aspect} {good}, {item} {good}, {praise}
{person} {item} ഇഷ്ടമായി, {aspect} {good}
{when} കിട്ടി, {item} {good}
{item} {aspect} {good}, {praise}
{service} {good}, {person} ഒരുപാട് ഇഷ്ടപ്പെട്ടു
{service} {when} ഉപയോഗിച്ചു, {good}
""",
    "Negative": """
{item} {bad}, {blame}
{item} വാങ്ങിയത് {person} വേണ്ടിയാണ്, {blame}
{when} വാങ്ങി, {aspect} {bad}
{aspect} {bad}, {item} {bad}, {blame}
{person} {item} ഇഷ്ടമായില്ല, {aspect} {bad}
{when} കിട്ടി, {item} {bad}
{item} {aspect} {bad}, {blame}
{service} {bad}, {person} തീരെ ഇഷ്ടപ്പെട്ടില്ല
{service} {when} ഉപയോഗിച്ചു, {bad}
""",
    "Mixed_feelings": """
{item} {good}, പക്ഷേ {aspect} {bad}
{aspect} {good}, എന്നാൽ {item} {bad}
{praise}, പക്ഷേ {aspect} {bad}
{aspect} {bad}, എങ്കിലും {item} {good}
{item} {person} ഇഷ്ടമായി, എന്നാൽ {aspect} {bad}
{item} ആദ്യം {good}, പിന്നീട് {blame}
{service} {good}, പക്ഷേ ചിലപ്പോൾ {bad}
""",
    "unknown_state": """
{item} {ask}
{item} {when} ഓർഡർ ചെയ്തു, {ask}
{person} {item} വേണം, {ask}
{when} {item} കണ്ടു, {ask}
{item} വാങ്ങാൻ ആലോചിക്കുന്നു, {aspect} എങ്ങനെ
{item} സംബന്ധിച്ച് ചോദ്യമുണ്ട്, {ask}
{item} {when} വാങ്ങി, ഉപയോഗിച്ച് നോക്കിയിട്ടില്ല
""",
    "not-malayalam": """
{eng_item} {eng_say}
{eng_item} {eng_say}, {eng_end}
{hindi}, {eng_end}
{tamil}, {eng_end}
{hindi}, {eng_item} {eng_say}
{tamil}, {eng_item} {eng_say}
""",
}
