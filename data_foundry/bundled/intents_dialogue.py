"""Intents about the dialogue itself: language, saying again, yes, no, and something else.

Written for this project; no native speaker has checked it.
"""

from data_foundry.bundled.intent import Intent

DIALOGUE: dict[str, Intent] = {
    "change_language": Intent(
        "hear the line in another language",
        """
f ദയവായി {language_in} പറയൂ
f ഭാഷ {language_to} മാറ്റണം
f എനിക്ക് {language} മാത്രമേ മനസ്സിലാകൂ
f {language_in} കേൾക്കാൻ ഏത് അക്കം അമർത്തണം
f സന്ദേശങ്ങൾ {language_in} ലഭിക്കാൻ എന്ത് ചെയ്യണം
f തെറ്റായ ഭാഷയാണ് തിരഞ്ഞെടുത്തത്, {language} വേണം
c {language_in} പറഞ്ഞാൽ മതി
c ഇത് വേറെ ഭാഷയാണല്ലോ, {language_in} ആക്കിത്തരുമോ
c എനിക്ക് ഈ ഭാഷ അറിയില്ല
c {other_language} അറിയില്ല, ഭാഷ മാറ്റൂ
c അമ്മയ്ക്ക് {language} മാത്രമേ അറിയൂ, അതിൽ പറയാമോ
m language {language_e} ആക്കാമോ
m {language_to} language change ചെയ്യൂ
m {language_e} option ഏതാണ്
r bhasha onnu maattamo
r {language_in_r} parayamo
r enikku ee bhasha ariyilla, {language_in_r} mathi
f {language_in} തുടരാൻ ആഗ്രഹിക്കുന്നു
f സംഭാഷണഭാഷ {language} ആക്കണം
c {language_in} ആണെങ്കിൽ എളുപ്പമായിരുന്നു
c എന്താ ഈ ഭാഷ, {language_in} പറയാൻ പറ്റില്ലേ
c {language} മതി, വേറെ ഭാഷ വേണ്ട
m {language_e} ൽ പറയാമോ
m language change ചെയ്യാൻ ഏത് number press ചെയ്യണം
m {language_e} select ചെയ്യണം
r {language_in_r} mathi
r bhasha {language_r} aakkanam
r enikku {language_in_r} kelkkanam
f സംഭാഷണം {language_in} ആക്കാൻ അഭ്യർഥിക്കുന്നു
f {language_in} സേവനം ലഭ്യമാണെങ്കിൽ അതിലേക്ക് മാറ്റൂ
f {other_language} മനസ്സിലാകുന്നില്ല, മലയാളത്തിൽ തുടരാമോ
c {other_language} വേണ്ട, മലയാളത്തിൽ ആക്കിത്തരൂ
c {language_in} ഉണ്ടെങ്കിൽ അതാ നല്ലത്
c ഒന്നും പിടികിട്ടുന്നില്ല, {language_in} പറഞ്ഞുതരൂ
m {language_e} ആണ് comfortable, അതിലേക്ക് മാറ്റൂ
m default language {language_e} ആക്കണം
m {language_e} ൽ continue ചെയ്യാമോ
r {language_in_r} samsarikkamo
r bhasha thetti poyi, {language_r} venam
r ammaykku {language_r} mathrame ariyu
""",
    ),
    "repeat": Intent(
        "say the last thing again, or slower or louder",
        """
f ദയവായി ഒന്നുകൂടി പറയാമോ
f പറഞ്ഞത് വ്യക്തമായില്ല, ആവർത്തിക്കൂ
f {detail} ഒരിക്കൽക്കൂടി പറഞ്ഞുതരൂ
f അവസാനം പറഞ്ഞത് വീണ്ടും കേൾക്കണം
f ഏത് അക്കം അമർത്തണമെന്ന് വീണ്ടും പറയൂ
f ആദ്യം മുതൽ തുടങ്ങാമോ, ശരിക്ക് കേട്ടില്ല
f {amount} രൂപ എന്നാണോ പറഞ്ഞത്, വ്യക്തമായില്ല
c എന്താ പറഞ്ഞത്, കേട്ടില്ല
c {trouble}, ഒന്നുകൂടി പറയൂ
c {detail} കേട്ടില്ല, പിന്നെയും പറയണേ
c കുറച്ച് പതുക്കെ പറയാമോ
c ഒന്ന് ഉറക്കെ പറയുമോ
c ഹലോ, കേൾക്കുന്നില്ല, വീണ്ടും പറയൂ
c വേഗം പറഞ്ഞുപോയി, {detail} മനസ്സിലായില്ല
c ഞാൻ ശ്രദ്ധിച്ചില്ല, ഇപ്പോൾ പറഞ്ഞത് എന്താണ്
c {day} എന്നാണോ ഉദ്ദേശിച്ചത്, ഒന്നുകൂടി പറയാമോ
m ഒന്ന് repeat ചെയ്യാമോ
m {detail_e} clear ആയില്ല, ഒന്നുകൂടി പറയൂ
m voice break ആകുന്നു, വീണ്ടും പറയാമോ
r onnu koodi parayamo
r {detail_r} kettilla, veendum parayu
r pathukke parayamo, manassilayilla
r entha paranjathu, kettilla
f പറഞ്ഞ {detail} ഒന്നുകൂടി പറയാമോ
f അല്പം സാവധാനം ആവർത്തിക്കാമോ
c എന്ത്, ഒന്നും കേൾക്കാൻ പറ്റുന്നില്ല
c {trouble}, ആദ്യം മുതൽ പറയാമോ
c ഏ, എന്താ
c പറഞ്ഞത് പിടികിട്ടിയില്ല
m last പറഞ്ഞത് ഒന്നുകൂടി പറയൂ
m slow ആയി പറയാമോ
m {detail_e} എന്താണെന്നാ പറഞ്ഞത്, കേട്ടില്ല
r kettilla, onnu koodi
r {detail_r} manassilayilla, onnu koodi
r urakke parayamo, kelkkunnilla
f പറഞ്ഞ {detail} വ്യക്തമായി ഒരിക്കൽക്കൂടി കേൾപ്പിക്കാമോ
c അതൊന്നുകൂടി പറഞ്ഞേ
c ടിവിയുടെ ശബ്ദത്തിൽ കേട്ടില്ല, പിന്നെയും പറയൂ
m sorry, {detail_e} miss ആയി, ഒന്നുകൂടി
m once more പറയാമോ
r onnu koodi {detail_r} paranju tharumo
""",
    ),
    "affirm": Intent(
        "yes, that is right",
        """
f അതെ, ശരിയാണ്
f അതെ, {amount} രൂപ തന്നെയാണ്
f അതെ, {day} മതി
f അതെ, എന്റെ {request} തന്നെയാണ്
f സമ്മതമാണ്, തുടരാം
f ഉറപ്പാണ്, മുന്നോട്ട് പോകാം
f അതെ, {plan} പ്ലാൻ തന്നെ വേണം
f പറഞ്ഞ വിവരങ്ങളെല്ലാം ശരിയാണ്
f അതെ, {language} തന്നെ മതി
c ആ, അത് മതി
c ശരി, അങ്ങനെ ചെയ്തോളൂ
c അതേ അതേ, അത് തന്നെ
c ഉം, ശരി
c കുഴപ്പമില്ല, ചെയ്തോളൂ
c ആയിക്കോട്ടെ
c ശരി, {amount} രൂപ എടുത്തോളൂ
c ആ, {day} വന്നോളൂ
c തീർച്ചയായും, വേണം
c പിന്നെന്താ, ആവാം
m ok, അങ്ങനെ ആയിക്കോട്ടെ
m yes, {offer_e} confirm ചെയ്തോളൂ
m correct ആണ്, proceed ചെയ്യൂ
r athe, sheriyanu
r sheri, angane cheytholu
r athe, {day_r} mathi
r kuzhappamilla, athu mathi
f അതെ, അതുതന്നെയാണ് ഉദ്ദേശിച്ചത്
f അതെ, പറഞ്ഞ {detail} കൃത്യമാണ്
c ഓക്കെ, {plan} പ്ലാൻ ആയിക്കോട്ടെ
c അതുതന്നെ, സംശയമില്ല
c ഓ, ചെയ്തോളൂ
c ഞാൻ റെഡിയാണ്, തുടങ്ങിക്കോ
m sure, അതുമതി
m {detail_e} correct ആണ്
m yes, continue ചെയ്യൂ
r athe, athu thanne
r {detail_r} sheriyanu
r aa, cheytholu
r okay, aayikkotte
c അതുതന്നെ വേണ്ടത്, ചെയ്തോളൂ
m yes yes, അത് തന്നെ
""",
    ),
    "deny": Intent(
        "no, that is wrong or not wanted",
        """
f അല്ല, അതല്ല
f അല്ല, {amount} രൂപയല്ല
f ഇല്ല, {day} സൗകര്യപ്പെടില്ല
f ഇല്ല, എനിക്ക് {plan} പ്ലാൻ ആവശ്യമില്ല
f അല്ല, എന്റെ {request} അതല്ല
f സമ്മതമല്ല, തുടരേണ്ട
f പറഞ്ഞ വിവരങ്ങൾ ശരിയല്ല
f ഞാൻ അങ്ങനെയല്ല പറഞ്ഞത്
c വേണ്ട, ഇപ്പോ വേണ്ട
c അയ്യോ, അതല്ല ഞാൻ ചോദിച്ചത്
c വേണ്ടെന്നേ, വിട്ടേക്കൂ
c ഏയ്, അങ്ങനെയൊന്നുമില്ല
c {amount} രൂപയോ, ഒരിക്കലുമല്ല
c എനിക്ക് താൽപര്യമില്ല
c അത് ശരിയാവില്ല
c {day} വേണ്ട, പിന്നെ നോക്കാം
c വേണ്ട, {request} അങ്ങനെ തന്നെ ഇരിക്കട്ടെ
c {language} വേണ്ട, ഇതുതന്നെ മതി
m no, അത് വേണ്ട
m wrong ആണ്, അതല്ല
m {offer_e} confirm ചെയ്യേണ്ട
r alla, athu venda
r {day_r} venda, ippo venda
r athalla njan paranjathu
r alla, {amount_r} roopayalla
f അല്ല, {detail} ശരിയല്ല
f ക്ഷമിക്കണം, അത് തെറ്റാണ്
c ഏയ് വേണ്ട, ഞാൻ ആലോചിക്കട്ടെ
c ഏയ്, അങ്ങനെ ചെയ്യരുത്
c അല്ലല്ല, അതല്ല
c {plan} പ്ലാനൊന്നും വേണ്ട
m no no, അങ്ങനെയല്ല
m {detail_e} correct അല്ല
m not interested, വേണ്ട
r venda, venda
r {detail_r} thettanu, angane alla
r ippo venda, pinne mathi
r enikku thalparyamilla
f അല്ല, അതിനല്ല വിളിച്ചത്
m no, {offer_e} വേണ്ട
r illa, angane paranjilla
""",
    ),
    "out_of_scope": Intent(
        "something that the line has no service for",
        """
f ഇന്ന് {town_in} മഴ പെയ്യുമോ
f കേരളത്തിന്റെ തലസ്ഥാനം ഏതാണ്
f {dish} ഉണ്ടാക്കുന്ന വിധം പറഞ്ഞുതരാമോ
f ഇന്നലത്തെ {game} മത്സരത്തിൽ ആര് ജയിച്ചു
f {town_to} അടുത്ത ട്രെയിൻ എപ്പോഴാണ്
f സ്വർണത്തിന് ഇന്ന് എന്താണ് വില
f പരീക്ഷാഫലം എന്ന് പ്രസിദ്ധീകരിക്കും
c ഒരു {song} പാടാമോ
c ക്ഷമിക്കണം, നമ്പർ മാറിപ്പോയി
c നിങ്ങൾക്ക് സുഖമാണോ
c ഒരു തമാശ പറയാമോ
c കാണാൻ കൊള്ളാവുന്ന ഒരു സിനിമ പറഞ്ഞുതരുമോ
c പുറത്ത് നല്ല മഴയാണല്ലോ
c ഇത് {shop} അല്ലേ
c എന്റെ പൂച്ചയെ കാണാനില്ല
c ചോറുണ്ടോ, വേറെയെന്തുണ്ട് വിശേഷം
c ഈ വർഷം ഓണം എന്നാണ്
m {game_e} score എത്രയായി
m ഒരു {food_e} order ചെയ്യണം
m ഒരു joke പറയാമോ
r innu mazha peyyumo
r oru paattu paadamo
r {dish_r} undakkan padippikkamo
r nalla puthiya cinema ethanu
f {dish} കഴിച്ചാൽ ആരോഗ്യത്തിന് നല്ലതാണോ
f {game} കളിയുടെ നിയമങ്ങൾ പറയാമോ
f ഒരു കഥ വായിച്ചുകേൾപ്പിക്കാമോ
f ഭൂമിയിൽ നിന്ന് ചന്ദ്രനിലേക്ക് എത്ര ദൂരമുണ്ട്
c ഇന്ന് എന്താ കറി, {dish} ആണോ
c {town_in} നല്ല ചൂടാണോ ഇപ്പോൾ
c {game} കാണാൻ ടിക്കറ്റ് കിട്ടുമോ
c ഞാൻ വെറുതെ വിളിച്ചതാണ്
c മോൾക്ക് ഒരു പാട്ട് പഠിക്കണം
c ലോട്ടറി ഫലം വന്നോ
m {food_e} എവിടെ കിട്ടും
m taxi ഒന്ന് book ചെയ്യാമോ
m weather എങ്ങനെയുണ്ട് ഇന്ന്
r {game_e} kali aaru jayichu
r samayam ethrayayi
r oru thamasha parayamo
r wrong number aanu, sorry
""",
    ),
}
