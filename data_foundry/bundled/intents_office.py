"""Intents about people and offices: speaking to somebody, appointments, opening hours.

Written for this project; no native speaker has checked it.
"""

from data_foundry.bundled.intent import Intent

OFFICE: dict[str, Intent] = {
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
r {desk_with_r} samsarikkanam
r aarenkilum onnu phone edukkumo
r customer careil ulla aalodu samsarikkan pattumo
r enikku {desk_with_r} nerittu parayanam
f {desk_with} നേരിട്ട് ചോദിക്കാനുണ്ട്
f ഈ വിഷയം {desk_acc} അറിയിക്കണം, കോൾ കൊടുക്കൂ
c {desk_with} പറയാനുള്ളതാണ്, ഫോൺ കൊടുക്കാമോ
c അവിടെ ആളില്ലേ, ആരോടെങ്കിലും മിണ്ടണം
m live agent വേണം, machine വേണ്ട
m {desk_e} നോട് സംസാരിക്കണം
m human ആയിട്ട് സംസാരിക്കാൻ option ഉണ്ടോ
r {desk_acc_r} connect cheyyamo
r aalu venam, machine venda
r malayalam ariyunna aalude aduthekku call kodukku
f കസ്റ്റമർ കെയർ പ്രതിനിധിയുമായി സംസാരിക്കാൻ സൗകര്യമുണ്ടോ
f {desk_acc} ലഭിക്കാൻ ഏത് അക്കമാണ് അമർത്തേണ്ടത്
f {since} ശ്രമിക്കുന്നു, {desk_with} സംസാരിക്കാൻ അവസരം തരണം
c റെക്കോഡ് ചെയ്തത് കേട്ട് മടുത്തു, {desk_acc} തരൂ
c ഒരു മനുഷ്യനെ കിട്ടാൻ എന്താ ചെയ്യേണ്ടത്
m {desk_e} available ആണോ, സംസാരിക്കാനാണ്
m {language_e} സംസാരിക്കുന്ന {desk_e} നെ തരൂ
r {desk_acc_r} onnu lineil tharumo
r machinodu samsarikkan vayya, aale tharu
""",
    ),
    "book_appointment": Intent(
        "get a time to be seen or visited",
        """
f {day} {visit_acc} കാണാൻ സമയം വേണം
f {visit_acc} കാണാൻ ബുക്ക് ചെയ്യണം
f {fitter} വീട്ടിൽ വരാൻ ഒരു ദിവസം ബുക്ക് ചെയ്യണം
f {one_day} ഉച്ചയ്ക്ക് ശേഷം ഒഴിവുണ്ടെങ്കിൽ ഒരു സമയം തരൂ
f അടുത്ത ഒഴിവുള്ള സമയം എപ്പോഴാണ്, ബുക്ക് ചെയ്യാനാണ്
f {clock} വരാം, ആ സമയം ഉറപ്പിക്കാമോ
c ഒരു ടോക്കൺ എടുത്തുതരുമോ
c {visit_acc} ഒന്ന് കാണണമായിരുന്നു, എപ്പോ സമയം കിട്ടും
c {one_day} രാവിലെ ഒഴിവുണ്ടോ, പേര് ചേർക്കാനാണ്
c അമ്മയെ ഡോക്ടറെ കാണിക്കണം, ടോക്കൺ വേണം
c {clock} ഒഴിവുണ്ടെങ്കിൽ എന്റെ പേരെഴുതിക്കോളൂ
c വരിയിൽ നിൽക്കാതെ കാണാൻ നേരത്തേ സമയമെടുക്കാമോ
m {day} ഒരു appointment വേണം
m {visit_acc} കാണാൻ appointment എടുക്കണം
m online slot book ചെയ്തു തരാമോ
r {day_r} oru appointment venam
r {visit_acc_r} kaanan token edukkanam
r {day_r} ravile ozhivundo, book cheyyanam
f {one_day} {clock} സമയം ലഭ്യമാണോ, ബുക്ക് ചെയ്യാനാണ്
f {visit_acc} സന്ദർശിക്കാൻ മുൻകൂട്ടി സമയം നിശ്ചയിക്കണം
c {fitter} വീട്ടിൽ വരാൻ എപ്പോഴാ ഒഴിവ്, ഒരു ദിവസം പറഞ്ഞുതരൂ
c {day} ഒരു ടോക്കൺ കിട്ടിയാൽ നന്നായിരുന്നു
m {day} slot available ആണോ
m doctor appointment book ചെയ്യണം
m token online ആയി എടുക്കാമോ
r {visit_acc_r} kaanan samayam kittumo
r oru token eduthu tharumo
r {day_r} {visit_acc_r} kaananam, appointment edukkamo
f {one_day} {fitter} വരാൻ സമയം ബുക്ക് ചെയ്യാമോ
f {visit_acc} നേരിൽ കാണാൻ അനുമതിയും സമയവും വേണം
f {one_day} {clock} {visit_acc} കാണാൻ ടോക്കൺ ലഭിക്കുമോ
c {one_day} {clock} വരാം, എന്റെ പേര് ചേർത്തേക്കൂ
c {visit_acc} കാണാൻ {one_day} തിരക്കുണ്ടോ, ഒന്ന് ബുക്ക് ചെയ്തേക്കൂ
c അച്ഛന്റെ ചെക്കപ്പിന് ഒരു ദിവസം വേണം
m {one_day} {visit_acc} കാണാൻ slot കിട്ടുമോ
m {fitter} വീട്ടിൽ വരാൻ visit schedule ചെയ്യണം
m morning slot ഏതെങ്കിലും free ആണോ, book ചെയ്യാനാണ്
r {day_r} {visit_acc_r} kaanan pattumo
r technician veettil varan {day_r} book cheyyanam
r oru appointment kittan enthu cheyyanam
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
f {visit_acc} കാണാനുള്ള തീയതി {day_to} മാറ്റിത്തരാൻ അപേക്ഷിക്കുന്നു
f {day_of} സമയം ഉച്ചയ്ക്ക് ശേഷമാക്കാൻ സാധിക്കുമോ
f {fitter} വരുന്ന ദിവസം {day_to} മാറ്റണം
c {day_of} ടോക്കൺ എനിക്ക് പറ്റില്ല, വേറൊരു ദിവസം നോക്കൂ
c അത്യാവശ്യം വന്നു, എടുത്ത സമയം {day_to} നീക്കാമോ
c {clock} എത്താനാവില്ല, കുറച്ചുകൂടി വൈകിയ സമയം തരൂ
m {visit_acc} കാണാനുള്ള appointment change ചെയ്യണം
m {day_of} token വേറെ ഒരു day ലേക്ക് മാറ്റൂ
m booked time late ആക്കാൻ പറ്റുമോ
r {day_r} eduthathu maatti vere divasam venam
r {visit_acc_r} kaanan edutha samayam maattamo
""",
    ),
    "office_hours": Intent(
        "when an office is open, and where it is",
        """
f {office} എപ്പോൾ തുറക്കും
f {day} {office} പ്രവർത്തിക്കുമോ
f {office} എത്ര മണി വരെ പ്രവർത്തിക്കും
f {town_in} ഏറ്റവും അടുത്തുള്ള {office} എവിടെയാണ്
f {office_of} വിലാസം പറഞ്ഞുതരൂ
f പൊതു അവധി ദിവസങ്ങളിൽ {office} തുറക്കുമോ
c ഇപ്പോ വന്നാൽ {office} തുറന്നിട്ടുണ്ടാകുമോ
c ഉച്ചയ്ക്ക് {office} അടച്ചിടുമോ
c {town_in} നിങ്ങളുടെ {office} ഉണ്ടോ
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
r uchaykku {office_r} adakkumo
f {town_in} {office} ഏതൊക്കെ ദിവസം പ്രവർത്തിക്കും
f ശനിയാഴ്ച {office} എത്ര മണി വരെയുണ്ട്
f ബസ്സിൽ {office_to} എത്താൻ എവിടെ ഇറങ്ങണം
c {day} {office} തുറക്കുമോ, വന്നാൽ കാര്യം നടക്കുമോ
c രാത്രി എത്ര മണി വരെ {office} തുറന്നിരിക്കും
c {town_in} {office} പഴയ സ്ഥലത്ത് തന്നെയാണോ
m {office_e} lunch break എപ്പോഴാണ്
m public holiday ൽ {office_e} open ആണോ
m {office_e} ന്റെ map location അയയ്ക്കുമോ
r {day_r} {office_r} thurakkumo
r {office_r} ethra manikku adakkum
r {place_in_r} {office_r} evideyanu
""",
    ),
}
