"""Intents about the call: people, appointments, opening hours, language, saying again, yes, no, and something else.

Written for this project; no native speaker has checked it.
"""

from data_foundry.bundled.intent import Intent

DIALOGUE: dict[str, Intent] = {
    "talk_to_agent": Intent(
        "speak to a person",
        """
f ഒരു ഉദ്യോഗസ്ഥനോട് നേരിട്ട് സംസാരിക്കണം
f കസ്റ്റമർ കെയറിലേക്ക് കോൾ മാറ്റിത്തരൂ
f {language_in} സംസാരിക്കുന്ന ഒരാളെ ലഭിക്കുമോ
f ഈ കോൾ {desk_to} കൈമാറാമോ
f {desk_with} സംസാരിക്കാൻ സാധിക്കുമോ
f വനിതാ ജീവനക്കാരിയോട് സംസാരിക്കാൻ ആഗ്രഹിക്കുന്നു
f ദയവായി ഓപ്പറേറ്ററുമായി ബന്ധിപ്പിക്കൂ
c മെഷീനോടല്ല, മനുഷ്യനോട് സംസാരിക്കണം
c ആരെങ്കിലും ഒന്ന് ഫോണെടുക്കുമോ
c ഈ അക്കം അമർത്തലൊന്നും പറ്റില്ല, ആളെ കിട്ടിയാൽ മതി
c {desk_acc} ഒന്ന് ലൈനിൽ തരൂ
c {since} കാത്തിരിക്കുന്നു, ആരോടെങ്കിലും സംസാരിക്കാൻ പറ്റുമോ
c അത്യാവശ്യമാണ്, {desk_acc} വേഗം കണക്ട് ചെയ്യൂ
c എനിക്ക് ഇതൊന്നും മനസ്സിലാകുന്നില്ല, ഒരാളോട് നേരിട്ട് പറഞ്ഞോളാം
m {desk_e} നെ connect ചെയ്യൂ
m customer care ലേക്ക് call transfer ചെയ്യാമോ
m {language_e} അറിയാവുന്ന agent ഉണ്ടോ
r {desk_r} samsarikkanam
r aarenkilum onnu phone edukkumo
r customer careil ulla aalode samsarikkan pattumo
r enikku {desk_r} neritt parayanam
f {desk_with} നേരിട്ട് ചോദിക്കാനുണ്ട്
f ഈ വിഷയം {desk_to} അറിയിക്കണം, കോൾ കൊടുക്കൂ
c {desk_with} പറയാനുള്ളതാണ്, ഫോൺ കൊടുക്കാമോ
c അവിടെ ആളില്ലേ, ആരോടെങ്കിലും മിണ്ടണം
m live agent വേണം, machine വേണ്ട
m {desk_e} നോട് സംസാരിക്കണം
m human ആയിട്ട് സംസാരിക്കാൻ option ഉണ്ടോ
r {desk_r} connect cheyyamo
r aalu venam, machine venda
r malayalam ariyunna aalude aduthekku call kodukku
""",
    ),
    "book_appointment": Intent(
        "get a time to be seen or visited",
        """
f {day} {visit_acc} കാണാൻ സമയം വേണം
f {visit_acc} കാണാൻ ബുക്ക് ചെയ്യണം
f {fitter} വീട്ടിൽ വരാൻ ഒരു ദിവസം ബുക്ക് ചെയ്യണം
f {day} ഉച്ചയ്ക്ക് ശേഷം ഒഴിവുണ്ടെങ്കിൽ ഒരു സമയം തരൂ
f അടുത്ത ഒഴിവുള്ള സമയം എപ്പോഴാണ്, ബുക്ക് ചെയ്യാനാണ്
f {clock} വരാം, ആ സമയം ഉറപ്പിക്കാമോ
c ഒരു ടോക്കൺ എടുത്തുതരുമോ
c {visit_acc} ഒന്ന് കാണണമായിരുന്നു, എപ്പോ സമയം കിട്ടും
c {day} രാവിലെ ഒഴിവുണ്ടോ, പേര് ചേർക്കാനാണ്
c അമ്മയെ ഡോക്ടറെ കാണിക്കണം, ടോക്കൺ വേണം
c {clock} ഒഴിവുണ്ടെങ്കിൽ എന്റെ പേരെഴുതിക്കോളൂ
c വരിയിൽ നിൽക്കാതെ കാണാൻ നേരത്തേ സമയമെടുക്കാമോ
m {day} ഒരു appointment വേണം
m {visit_acc} കാണാൻ appointment എടുക്കണം
m online slot book ചെയ്തു തരാമോ
r {day_r} oru appointment venam
r {visit_r} kaanan token edukkanam
r {day_r} ravile ozhivundo, book cheyyanam
f {day} {clock} സമയം ലഭ്യമാണോ, ബുക്ക് ചെയ്യാനാണ്
f {visit_acc} സന്ദർശിക്കാൻ മുൻകൂട്ടി സമയം നിശ്ചയിക്കണം
c {fitter} വീട്ടിൽ വരാൻ എപ്പോഴാ ഒഴിവ്, ഒരു ദിവസം പറഞ്ഞുതരൂ
c {day} ഒരു ടോക്കൺ കിട്ടിയാൽ നന്നായിരുന്നു
m {day} slot available ആണോ
m doctor appointment book ചെയ്യണം
m token online ആയി എടുക്കാമോ
r {visit_r} kaanan samayam kittumo
r oru token eduthu tharumo
r {day_r} {visit_r} kaananam, appointment edukkamo
""",
    ),
    "change_appointment": Intent(
        "move an appointment that is already made",
        """
f {day_of} ബുക്കിങ് മാറ്റണം
f എടുത്ത സമയം {day_to} മാറ്റാമോ
f {visit_acc} കാണാനുള്ള സമയം നീട്ടിവയ്ക്കണം
f ടോക്കൺ മറ്റൊരു ദിവസത്തേക്ക് മാറ്റിത്തരണം
f ബുക്ക് ചെയ്ത തീയതി തെറ്റിപ്പോയി, തിരുത്തണം
f രാവിലത്തെ സമയം വൈകുന്നേരമാക്കാൻ സാധിക്കുമോ
f നിശ്ചയിച്ച ദിവസം എത്താനാകില്ല, {day_to} നീട്ടണം
c {day} വരാൻ പറ്റില്ല, വേറെ ദിവസം തരുമോ
c പറഞ്ഞ സമയത്ത് എത്തില്ല, കുറച്ച് കഴിഞ്ഞുള്ള സമയം തരാമോ
c {visit_acc} കാണാനെടുത്ത ടോക്കൺ {day_to} ആക്കണം
c {day_of} സമയം കുറച്ച് നേരത്തേയാക്കാമോ
c {day} {fitter} വരേണ്ട, വേറൊരു ദിവസം മതി
c ബുക്കിങ് കളയേണ്ട, ദിവസം ഒന്ന് മാറ്റിയാൽ മതി
m appointment {day_to} reschedule ചെയ്യണം
m {day_of} slot change ചെയ്യാമോ
m booking date മാറ്റാൻ എന്ത് ചെയ്യണം
r appointment {day_to_r} maattanam
r {day_r} varan pattilla, vere divasam tharumo
r token vere samayathekku maattamo
f {visit_acc} കാണാൻ ലഭിച്ച തീയതി പുതുക്കി നൽകാമോ
f {day_of} ടോക്കണിന് പകരം പിന്നീടൊരു ദിവസം മതി
c എടുത്ത ടോക്കൺ {day_to} ആക്കിയാൽ ഉപകാരമായിരുന്നു
c {day_of} ബുക്കിങ്ങിന് എത്താൻ പറ്റില്ല, തീയതി മാറ്റൂ
c പത്ത് മണിക്കായിരുന്നു സമയം, ഉച്ച കഴിഞ്ഞാക്കാമോ
m appointment time മാറ്റാമോ
m {day_of} booking postpone ചെയ്യണം
r booking {day_to_r} aakkamo
r edutha samayam maattanam
r appointment neettan pattumo
""",
    ),
    "office_hours": Intent(
        "when an office is open, and where it is",
        """
f {office} എപ്പോൾ തുറക്കും
f {day} {office} പ്രവർത്തിക്കുമോ
f {office} എത്ര മണി വരെ പ്രവർത്തിക്കും
f {town} ഏറ്റവും അടുത്തുള്ള {office} എവിടെയാണ്
f {office_of} വിലാസം പറഞ്ഞുതരൂ
f പൊതു അവധി ദിവസങ്ങളിൽ {office} തുറക്കുമോ
c ഇപ്പോ വന്നാൽ {office} തുറന്നിട്ടുണ്ടാകുമോ
c ഉച്ചയ്ക്ക് {office} അടച്ചിടുമോ
c {town} നിങ്ങളുടെ {office} ഉണ്ടോ
c {office_to} എങ്ങനെയാ വരേണ്ടത്
c എത്ര മണിക്ക് വന്നാൽ ഓഫീസിൽ ആളുണ്ടാകും
m {office_e} timing എന്താണ്
m {office_e} ഏത് time വരെ open ആണ്
m nearest branch location പറയാമോ
r {office_r} eppo thurakkum
r njayarazhcha {office_r} undo
r aduthulla office evideya
f {office_of} പ്രവൃത്തിസമയം അറിയണം
f ഉച്ചഭക്ഷണസമയത്ത് {office} അടയ്ക്കുമോ
c {office} അടയ്ക്കാറായോ, ഇനി വന്നാൽ കാര്യമുണ്ടോ
c {office_to} പോകാനുള്ള വഴി പറഞ്ഞുതരാമോ
c രാവിലെ എത്ര മണിക്കാ {office} തുറക്കുന്നത്
m {office_e} address ഒന്ന് അയയ്ക്കാമോ
m Sunday {office_e} open ആണോ
m working hours എത്ര മണി വരെയാണ്
r {office_r} ethra mani vare undu
r {office_r} evideyanu, vazhi parayamo
r uchakku {office_r} adakkumo
""",
    ),
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
r {language_r} parayamo
r enikku ee bhasha ariyilla, {language_r} mathi
f {language_in} തുടരാൻ ആഗ്രഹിക്കുന്നു
f സംഭാഷണഭാഷ {language} ആക്കണം
c {language_in} ആണെങ്കിൽ എളുപ്പമായിരുന്നു
c എന്താ ഈ ഭാഷ, {language_in} പറയാൻ പറ്റില്ലേ
c {language} മതി, വേറെ ഭാഷ വേണ്ട
m {language_e} ൽ പറയാമോ
m language change ചെയ്യാൻ ഏത് number press ചെയ്യണം
m {language_e} select ചെയ്യണം
r {language_r} mathi
r bhasha {language_r} aakkanam
r enikku {language_r} kelkkanam
""",
    ),
    "repeat": Intent(
        "say the last thing again",
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
f പറഞ്ഞ {detail} ഒന്നുകൂടി സ്ഥിരീകരിക്കാമോ
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
r okke, aayikkotte
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
r illa, {amount_r} roopa alla
f ഇല്ല, {detail} ശരിയല്ല
f ക്ഷമിക്കണം, അത് തെറ്റാണ്
c ഏയ് വേണ്ട, ഞാൻ ആലോചിക്കട്ടെ
c ഹേയ്, അങ്ങനെ ചെയ്യരുത്
c ഇല്ലില്ല, അതല്ല
c {plan} പ്ലാനൊന്നും വേണ്ട
m no no, അങ്ങനെയല്ല
m {detail_e} correct അല്ല
m not interested, വേണ്ട
r venda, venda
r {detail_r} thettanu, angane alla
r ippo venda, pinne mathi
r enikku thalparyamilla
""",
    ),
    "out_of_scope": Intent(
        "something that the line has no service for",
        """
f ഇന്ന് {town} മഴ പെയ്യുമോ
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
c {town} നല്ല ചൂടാണോ ഇപ്പോൾ
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
