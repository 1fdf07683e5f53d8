"""Spoken lines with the words of one region: Travancore in the south, Cochin in the middle, Malabar in the north.

Written for this project from commonly known regional words; no native speaker has checked it, and a line with such
words is a caricature of a dialect, not a record of one. The regions differ here by words
alone: the voices that speak them do not.
"""

SLOTS: dict[str, str] = {
    "thing": "ബില്ല്; റീചാർജ്; സിം കാർഡ്; കണക്ഷൻ; ഫോൺ; മീറ്റർ; പ്ലാൻ; ടിക്കറ്റ്; പൈസ; അപേക്ഷ; രസീത്; ഗ്യാസ്; പാഴ്സൽ; മോഡം; കാർഡ്",
    "supply": "കറന്റ്; വെള്ളം; നെറ്റ്; റേഞ്ച്; കേബിൾ; സിഗ്നൽ",
    "time": "ഇന്നലെ; ഇന്ന്; രാവിലെ; ഇന്നലെ രാത്രി; തിങ്കളാഴ്ച; ഉച്ചയ്ക്ക്; വൈകിട്ട്; കഴിഞ്ഞ ആഴ്ച",
    "t_call": "അണ്ണാ; എടേയ്; ചെല്ലാ; അണ്ണാച്ചി; അപ്പീ; തള്ളേ",
    "c_call": "ഇഷ്ടാ; ഗഡീ; മച്ചാനേ; ചുള്ളാ; ഡാ ഗഡീ; ചേട്ടോ",
    "m_call": "ചെങ്ങായീ; മോനേ; കോയാ; ഇക്കാ; കുട്ട്യേ; ബാപ്പുട്ട്യേ",
}

TEMPLATES: dict[str, str] = {
    "travancore": """
{t_call} എന്തരാണ് {thing} വരാത്തത്
എന്തരിന് {thing} കട്ട് ചെയ്ത് {t_call}
{time} {supply} പെയ്യ് കേട്ടാ {t_call}
{t_call} നമ്മള {thing} എവിടെടേ
ഓ തന്നെ, {thing} കിട്ടിയില്ല കേട്ടാ
{time} തൊട്ട് {supply} ഇല്ലടേ {t_call}
{t_call} ഇത് എന്തര് {thing} പറയണത്
{time} വിളിച്ചിട്ട് എന്തരായി {t_call}
നമ്മള് {time} {thing} അടച്ച് കേട്ടാ
{t_call} {thing} ശരിയാക്കിത്തരണം കേട്ടാ
എന്തര് ചെയ്യാൻ, {supply} ഇല്ല കേട്ടാ
{t_call} വോ, {thing} കൊണ്ട് വന്നാ
""",
    "cochin": """
{c_call} എന്തൂട്ടാ {thing} വരാത്തേ
എന്തൂട്ടിനാ {thing} കട്ട് ചെയ്തേ {c_call}
{time} {supply} പോയിട്ടാ {c_call}
{c_call} മ്മടെ {thing} എവിട്യാ
ആ ഗഡി, {thing} കിട്ടീല്ലാട്ടാ
{time} തൊട്ട് {supply} ഇല്ല്യാട്ടാ {c_call}
{c_call} ഇതെന്തൂട്ട് {thing} ആണ്ടാ
{time} വിളിച്ചിട്ട് എന്തൂട്ടായി {c_call}
മ്മള് {time} {thing} അടച്ചൂട്ടാ
{c_call} {thing} ശരിയാക്കി തരണംട്ടാ
എന്തൂട്ട് ചെയ്യാനാ, {supply} ഇല്ല്യാട്ടാ
{c_call} {thing} ഇങ്ങട് കൊണ്ടന്നാ
""",
    "malabar": """
{m_call} എന്താപ്പാ {thing} ബരാത്തത്
എന്തിനാ ഇങ്ങള് {thing} കട്ടാക്കിയത് {m_call}
{time} {supply} പോയിക്ക് {m_call}
{m_call} ഞമ്മളെ {thing} ഏടയാ
ഇങ്ങളെ {thing} കിട്ടീക്കില്ല {m_call}
{time} മുതല് {supply} ഇല്ലപ്പാ {m_call}
{m_call} ഇതെന്ത് {thing} ആണപ്പാ
{time} ബിളിച്ചിട്ട് എന്തായിക്ക് {m_call}
ഞമ്മള് {time} {thing} അടച്ചിക്ക്
{m_call} ഇങ്ങള് {thing} നേരാക്കിത്തരീ
എന്താ കാട്ട്വാ, {supply} ഇല്ലപ്പാ {m_call}
{m_call} ഓൻ {thing} കൊണ്ടന്നിക്കാ
""",
}
