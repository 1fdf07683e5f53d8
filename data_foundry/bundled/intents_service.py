"""Intents about the service itself: outages, faults, complaints, connections and plans.

Written for this project; no native speaker has checked it.
"""

from data_foundry.bundled.intent import Intent

SERVICE: dict[str, Intent] = {
    "report_outage": Intent(
        "electricity, water, network or cable is out",
        """
f {place_in} {since} {supply} ഇല്ല
f {place_in} വൈദ്യുതി മുടങ്ങിയ വിവരം അറിയിക്കാനാണ് വിളിച്ചത്
f {supply} ഇടയ്ക്കിടെ മുടങ്ങുന്നു
f {place_in} വൈദ്യുതി ലൈൻ പൊട്ടിവീണു കിടക്കുന്നു
f {since} {supply} ലഭിക്കുന്നില്ല
f പൈപ്പ് പൊട്ടിയതിനാൽ {place_in} വെള്ളം മുടങ്ങി
f മുടങ്ങിയ വൈദ്യുതി എപ്പോൾ തിരികെ ലഭിക്കും
c {line} പോയല്ലോ, എപ്പോ വരും
c മഴ പെയ്തപ്പോൾ {line} പോയതാണ്, ഇതുവരെ വന്നില്ല
c അടുത്ത വീട്ടിൽ {supply} ഉണ്ട്, ഞങ്ങൾക്ക് മാത്രം ഇല്ല
c ട്രാൻസ്ഫോർമർ പൊട്ടിത്തെറിച്ചെന്ന് തോന്നുന്നു, കറന്റില്ല
c വോൾട്ടേജ് തീരെയില്ല, ഫാൻ കറങ്ങുന്നില്ല
c രാത്രി മുഴുവൻ {supply} ഇല്ലായിരുന്നു, ഇപ്പോഴുമില്ല
m {place_in} network തീരെ ഇല്ല
m {since} internet down ആണ്
m ഇത് power cut ആണോ, എപ്പോൾ ശരിയാകും
r {place_in_r} {supply_r} illa
r {since_r} {supply_r} kittunnilla
r current poyittu kure neramayi, eppo varum
f {place_in} {since} ജലവിതരണം തടസ്സപ്പെട്ടിരിക്കുന്നു
f സിഗ്നൽ ലഭിക്കാത്തതിനാൽ {place_in} ആർക്കും വിളിക്കാൻ സാധിക്കുന്നില്ല
c ഈ ഏരിയ മുഴുവൻ ഇരുട്ടിലാണ്, കറന്റ് എന്താ വരാത്തത്
c ടാപ്പിൽ ഒരു തുള്ളി വെള്ളമില്ല {since}
m {place_in} power cut ആണ്, ഇതുവരെ വന്നില്ല
m water supply നിന്നിട്ട് രണ്ട് ദിവസമായി
r {place_in_r} range theere illa
r {supply_r} mudangiyittu randu divasamayi
r transformer keduvannu, current illa
f {place_in} {supply} മുടങ്ങിയിട്ട് മണിക്കൂറുകളായി
f {place_in} വോൾട്ടേജ് കുറവായതിനാൽ ഉപകരണങ്ങൾ പ്രവർത്തിക്കുന്നില്ല
f മുന്നറിയിപ്പില്ലാതെ {supply} നിർത്തിയത് എന്തുകൊണ്ടാണ്
c {place_in} {line} പോയി, പണി നടക്കുകയാണോ
c മരം വീണ് ലൈൻ പൊട്ടി, {since} കറന്റില്ല
c {supply} വന്നും പോയുമിരിക്കുന്നു, എന്താ കുഴപ്പം
m {place_in} signal drop ആകുന്നു, call പോകുന്നില്ല
m area മുഴുവൻ current ഇല്ല, എപ്പോ restore ആകും
m cable line down ആണ്, {since} ഒന്നും കിട്ടുന്നില്ല
r {place_in_r} {supply_r} poyi, eppo varum
r adutha veettil {supply_r} undu, ivide illa
r line potti, {since_r} current illa
""",
    ),
    "technical_support": Intent(
        "a device, an app or a login does not work",
        """
f {device} പ്രവർത്തിക്കുന്നില്ല
f {box} ഓണാകുന്നില്ല, എന്ത് ചെയ്യണം
f ഇന്റർനെറ്റിന് വേഗം വളരെ കുറവാണ്
f {device} നന്നാക്കാൻ ആരെയെങ്കിലും അയയ്ക്കുമോ
f {device} കേടായതിനാൽ മാറ്റിത്തരണം
f ആപ്പിൽ പ്രവേശിക്കാൻ സാധിക്കുന്നില്ല, പാസ്‌വേഡ് തെറ്റെന്ന് കാണിക്കുന്നു
f ഒ ടി പി ലഭിക്കുന്നില്ല, സഹായിക്കണം
c {device} {since_day} കേടാണ്
c {device_in} ചുവന്ന ലൈറ്റ് കത്തുന്നു
c നെറ്റ് ഇഴയുകയാണ്, വീഡിയോ ഒന്നും ഓടുന്നില്ല
c {box} ഓഫാക്കി ഓണാക്കിയിട്ടും രക്ഷയില്ല
c ടിവി ഓണാണ്, പക്ഷേ ചാനലൊന്നും വരുന്നില്ല
c വിളിക്കുമ്പോൾ ശബ്ദം മുറിഞ്ഞുപോകുന്നു, ഫോണിന്റെ കുഴപ്പമാണോ
m {box_e} restart ചെയ്തിട്ടും work ആകുന്നില്ല
m app login ആകുന്നില്ല, password reset ചെയ്യണം
m WiFi connect ആകുന്നില്ല, എന്താ ചെയ്യേണ്ടത്
r {device_r} work aakunnilla
r net valare slow aanu, onnu nokkamo
r {device_r} keduvannu, nannakki tharumo
f {box} സ്ഥാപിക്കാനുള്ള സഹായം വേണം
f ആപ്പ് തുറക്കുമ്പോൾ തനിയെ അടഞ്ഞുപോകുന്നു
c {device} ശരിയാക്കാൻ എന്താ ചെയ്യേണ്ടത്
c വൈഫൈ കണക്ടാകുന്നുണ്ട്, പക്ഷേ ഒന്നും തുറക്കുന്നില്ല
m {box_e} light കത്തുന്നില്ല, എങ്ങനെ ശരിയാക്കാം
m internet speed വളരെ slow ആണ്
m OTP വരുന്നില്ല, login ചെയ്യാൻ പറ്റുന്നില്ല
r app thurakkan pattunnilla
r {device_r} off aayi pokunnu
r password marannu poyi, enthu cheyyanam
f {box} സ്വയം ഓഫായിപ്പോകുന്നത് എങ്ങനെ പരിഹരിക്കാം
f {device_in} തകരാർ കാണുന്നു, പരിശോധിക്കണം
f ആപ്പ് പുതുക്കിയ ശേഷം തുറക്കാനാകുന്നില്ല
c {box} കുത്തിയിട്ടിട്ടും ഒരു അനക്കവുമില്ല
c റിമോട്ട് പണിയെടുക്കുന്നില്ല, എന്താ വഴി
c {device_in} എന്തോ ശബ്ദം കേൾക്കുന്നു, കേടാണോ
m {box_e} install ചെയ്തു, പക്ഷേ net കിട്ടുന്നില്ല
m app update ചെയ്തപ്പോൾ crash ആകുന്നു
m landline ൽ dial tone ഇല്ല, technician വരുമോ
r {device_r} restart cheythittum sheriyakunnilla
r WiFi kittunnundu, pakshe net illa
r OTP varunnilla, login pattunnilla
""",
    ),
    "register_complaint": Intent(
        "have a complaint written down",
        """
f എനിക്ക് ഒരു പരാതി നൽകാനുണ്ട്
f {topic} സംബന്ധിച്ച് പരാതി രേഖപ്പെടുത്തണം
f {staff_of} പെരുമാറ്റത്തെക്കുറിച്ച് പരാതിപ്പെടണം
f {place_in} തെരുവുവിളക്ക് കത്തുന്നില്ല, പരാതിയായി സ്വീകരിക്കണം
f പരാതി ഏത് വിഭാഗത്തിലാണ് നൽകേണ്ടത്
f സേവനം തൃപ്തികരമല്ല, മേലധികാരിക്ക് പരാതി നൽകണം
f പരാതി രേഖപ്പെടുത്തി അതിന്റെ നമ്പർ തരണം
c ഒരു പരാതി പറയാനാണ് വിളിച്ചത്
c {topic_of} കാര്യത്തിൽ ഒരു പരാതിയുണ്ട്, എഴുതിയെടുക്കാമോ
c എത്ര പറഞ്ഞിട്ടും ആരും വന്നില്ല, പരാതിയായി എഴുതിക്കോളൂ
c {staff} മോശമായി സംസാരിച്ചു, എനിക്ക് പരാതിയുണ്ട്
c ഇങ്ങനെ പോയാൽ പറ്റില്ല, പരാതി കൊടുക്കണം
c {since} പറയുന്നതാണ്, ഇനി പരാതിയായിത്തന്നെ എടുക്കണം
m {topic_e} complaint register ചെയ്യണം
m ഒരു complaint കൊടുക്കാനുണ്ട്
m service മോശമാണ്, complaint എവിടെ കൊടുക്കണം
r oru complaint register cheyyanam
r {topic_of_r} kaaryathil parathi undu, ezhuthi edukkamo
r staff moshamayi samsarichu, parathi kodukkanam
f {topic_of} പ്രശ്നം ഔദ്യോഗികമായി പരാതിയായി രേഖപ്പെടുത്തൂ
f {staff_of} ഭാഗത്തുനിന്ന് മോശം അനുഭവമുണ്ടായി, പരാതി നൽകാനാണ്
c {topic_of} കാര്യം പറഞ്ഞ് മടുത്തു, പരാതി രജിസ്റ്റർ ചെയ്തോളൂ
c ആരോടാ പരാതി പറയേണ്ടത്, ഇവിടെ പറഞ്ഞാൽ എടുക്കുമോ
m {topic_e} issue ഉണ്ട്, complaint എടുക്കാമോ
m staff behaviour ശരിയല്ല, complaint ഉണ്ട്
r enikku oru parathi parayanundu
r {topic_of_r} prashnam undu, complaint edukkanam
r parathi evideyanu parayendathu
f {topic} സംബന്ധിച്ച പരാതി ആരെയാണ് അറിയിക്കേണ്ടത്
f രേഖാമൂലം പരാതി നൽകാൻ ആഗ്രഹിക്കുന്നു
f {staff} കൂടുതൽ പണം ആവശ്യപ്പെട്ടു, പരാതി സ്വീകരിക്കണം
c {place_in} മാലിന്യം കൂടിക്കിടക്കുന്നു, പരാതി എടുക്കാമോ
c {staff} പണി പകുതിയാക്കി പോയി, പരാതിയുണ്ട്
c എന്റെ പരാതി ഒന്ന് എഴുതിയെടുക്കൂ, {topic_of} കാര്യമാണ്
m {topic_e} നെക്കുറിച്ച് ഒരു complaint file ചെയ്യണം
m online complaint എങ്ങനെയാണ് register ചെയ്യുന്നത്
m complaint number തരൂ, {topic_e} complaint ആണ്
r {topic_of_r} parathi aarodu parayanam
r complaint number tharamo, oru parathi kodukkanam
r ithu sheriyalla, complaint ezhuthikkolu
""",
    ),
    "track_status": Intent(
        "what became of a complaint, an order or a request",
        """
f എന്റെ {request_of} നില അറിയണം
f {request} ഏത് ഘട്ടത്തിലാണെന്ന് പറയാമോ
f മുമ്പ് നൽകിയ {filed} തീർപ്പായോ
f {request_of} കാര്യത്തിൽ ഇതുവരെ അറിയിപ്പൊന്നും ലഭിച്ചില്ല
f {item} എന്ന് ലഭിക്കുമെന്ന് അറിയിക്കാമോ
f അപേക്ഷ നൽകിയിട്ട് ഒരു മാസമായി, തീരുമാനം എന്തായി
c എന്റെ {request} എന്തായി
c {item} എവിടെവരെയെത്തി
c {since} കാത്തിരിക്കുന്നു, {item} ഇതുവരെ വന്നില്ല
c കഴിഞ്ഞ ആഴ്ച പറഞ്ഞ പരാതിയിൽ വല്ല നടപടിയും ആയോ
c ഇന്ന് വരുമെന്ന് പറഞ്ഞ {fitter} എപ്പോ എത്തും
c തിരിച്ചുതരാമെന്ന് പറഞ്ഞ പൈസ കയറിയോ
m എന്റെ {request_e} status പറയാമോ
m {item_e} delivery എന്നാണ്
m tracking number വെച്ച് ഒന്ന് നോക്കാമോ
r {request_r} status enthayi
r ente {item_r} eppo kittum
r kodutha parathi enthayi ennu parayamo
f {request} എവിടെവരെയായെന്ന് അറിയിക്കൂ
f നേരത്തേ ബുക്ക് ചെയ്ത {item} അയച്ചോ
c {filed} കൊടുത്തിട്ട് കുറേയായി, വല്ല വിവരവുമുണ്ടോ
c {item} ഇന്ന് എത്തുമെന്ന് പറഞ്ഞിരുന്നു, എവിടെയായി
m {request_e} ഏത് stage ൽ ആണ്
m {item_e} dispatch ആയോ
m refund credit ആയോ എന്ന് നോക്കാമോ
r {request_r} enthayi, vallathum arinjo
r {item_r} evide ethi
r refund eppo kittum
f {filed} നൽകിയതിന്റെ മറുപടി എന്ന് ലഭിക്കും
f {item} അയച്ചെങ്കിൽ ട്രാക്കിങ് നമ്പർ തരാമോ
f {request_of} നമ്പർ എന്റെ കൈവശമുണ്ട്, എന്തായെന്ന് നോക്കാമോ
c {filed} കൊടുത്തിട്ട് ആരും വിളിച്ചില്ല, എന്തായി കാര്യം
c {item} കൊണ്ടുവരുന്ന ആൾ എവിടെയെത്തി
c റീഫണ്ട് ഇന്നലെ വരുമെന്ന് പറഞ്ഞതാണ്, വന്നില്ലല്ലോ
m {request_e} process ആയോ
m {item_e} shipped ആണോ, എവിടെ എത്തി
m {request_e} number തരാം, status check ചെയ്യൂ
r {request_r} approve aayo
r {item_r} ayacho ennu parayamo
r complaint koduthittu oru azhchayayi, enthayi
""",
    ),
    "new_connection": Intent(
        "get a new connection or SIM",
        """
f പുതിയ {connection} കണക്ഷൻ എടുക്കാൻ എന്ത് ചെയ്യണം
f പുതിയ {connection} കണക്ഷന് ഏതെല്ലാം രേഖകൾ വേണം
f പുതിയ കണക്ഷന് ആകെ എത്ര രൂപയാകും
f {plan} പ്ലാനിൽ ഒരു പുതിയ കണക്ഷൻ വേണം
f വാടകവീട്ടിലേക്ക് {connection} കണക്ഷൻ ലഭിക്കുമോ
f പുതിയ കണക്ഷനുള്ള അപേക്ഷാഫോം എവിടെ കിട്ടും
c പുതിയ വീട്ടിൽ {connection} കണക്ഷൻ വേണമായിരുന്നു
c കടയിലേക്ക് ഒരു പുതിയ ലൈൻ വലിച്ചുതരണം
c {place_in} നിങ്ങളുടെ കണക്ഷൻ കിട്ടുമോ
c ഒരു പുതിയ സിം എടുക്കണമെങ്കിൽ എന്തൊക്കെ വേണം
c അപേക്ഷിച്ചാൽ കണക്ഷൻ എത്ര ദിവസം കൊണ്ട് കിട്ടും
c ഞങ്ങളുടെ ഭാഗത്ത് ഫൈബർ വന്നോ, എടുക്കാനായിരുന്നു
m ഒരു new connection എടുക്കണം
m {connection_e} connection ന് apply ചെയ്യണം
m new SIM activate ചെയ്യാൻ എന്ത് വേണം
r puthiya {connection_r} connection venam
r puthiya connection edukkan enthu cheyyanam
r {place_in_r} connection kittumo
f ഒരു പുതിയ {connection} കണക്ഷന് അപേക്ഷിക്കാൻ ആഗ്രഹിക്കുന്നു
f പുതുതായി പണിത വീട്ടിലേക്ക് {connection} ലൈൻ അനുവദിക്കുമോ
c ഇവിടെ {connection} കണക്ഷനില്ല, പുതിയത് എടുത്താലോ എന്ന് വിചാരിക്കുന്നു
c പുതിയ കണക്ഷന് ആധാർ മാത്രം മതിയോ
m {connection_e} new connection ന് എത്ര ചെലവ് വരും
m fiber connection available ആണോ
m documents എന്തൊക്കെ വേണം new connection ന്
r puthiya SIM edukkanam
r veettilekku {connection_r} connection edukkanam
r puthiya connectionu ethra roopa aakum
f {connection} കണക്ഷന് ഓൺലൈനായി അപേക്ഷിക്കാമോ
f പുതിയ {connection} കണക്ഷന്റെ നിക്ഷേപത്തുക എത്രയാണ്
f {place_in} പുതിയ കണക്ഷൻ നൽകുന്നുണ്ടോ
c പുതിയ {connection} ലൈൻ എടുക്കാൻ ആരെയാ കാണേണ്ടത്
c {whose} പേരിൽ ഒരു സിം എടുക്കണം
c {connection} കണക്ഷൻ എടുക്കാനാണ്, ഒരാളെ വിടുമോ
m {connection_e} connection എടുക്കാൻ documents എന്തൊക്കെയാ
m new SIM home delivery ഉണ്ടോ
m shop ലേക്ക് {connection_e} connection എടുക്കാമോ
r {connection_r} connection edukkan ethra divasam venam
r {whose_r} peril puthiya SIM venam
r puthiya veettil {connection_r} line venam
""",
    ),
    "change_plan": Intent(
        "move to another plan",
        """
f {plan} പ്ലാനിലേക്ക് മാറാൻ ആഗ്രഹിക്കുന്നു
f നിലവിലുള്ളത് മാറ്റി {plan} പ്ലാൻ തരണം
f {amount} രൂപയുടെ പ്ലാനിലേക്ക് മാറ്റാമോ
f {plan} പ്ലാനിലേക്ക് മാറിയാൽ മാസം എത്രയാകും
f പോസ്റ്റ്പെയ്ഡിൽ നിന്ന് പ്രീപെയ്ഡിലേക്ക് മാറണം
f {day_from} പുതിയ പ്ലാൻ നടപ്പാക്കണം
c ഇതിലും നിരക്ക് കുറഞ്ഞ പ്ലാൻ വല്ലതുമുണ്ടോ
c ഈ പ്ലാൻ മുതലാകുന്നില്ല, {plan} പ്ലാൻ മതി
c കൂടുതൽ നെറ്റ് കിട്ടുന്ന പ്ലാൻ വേണം
c {day_from} {plan} പ്ലാൻ ആക്കിത്തരുമോ
c ഇപ്പോഴത്തേതിന് വേഗം പോരാ, കൂടിയ പ്ലാൻ എടുക്കാം
c കൂട്ടുകാർക്കൊക്കെയുള്ള ഓഫർ പ്ലാൻ എനിക്കും വേണം
m {plan_e} plan ലേക്ക് upgrade ചെയ്യണം
m ഇപ്പോഴത്തെ plan മാറ്റി {plan_e} ആക്കണം
m best offer ഏതാണ്, അതിലേക്ക് മാറണം
r plan onnu maattanam
r {plan_r} planilekku maaran enthu cheyyanam
r {amount_r} roopayude plan aakki tharumo
f നിലവിലെ പ്ലാനിന് പകരം {amount} രൂപയുടേത് മതി
f {plan} പ്ലാനിന്റെ നേട്ടങ്ങൾ പറയൂ, അതിലേക്ക് മാറാനാണ്
c {plan} പ്ലാനാണ് നല്ലതെന്ന് കേട്ടു, അത് ആക്കിത്തരൂ
c ഇത്രയും വലിയ പ്ലാൻ വേണ്ട, ചെറുത് ഒന്ന് മതി
m {plan_e} plan activate ചെയ്യൂ, പഴയത് വേണ്ട
m prepaid ലേക്ക് migrate ചെയ്യണം
m plan downgrade ചെയ്യാൻ പറ്റുമോ
r kuranja plan ethanu, athilekku maattanam
r ente plan maatti {plan_r} aakkanam
r postpaidil ninnu prepaidilekku maaranam
f ഇപ്പോഴത്തെ പ്ലാൻ മാറ്റാനുള്ള നടപടിക്രമം എന്താണ്
f {plan} പ്ലാനിലേക്കുള്ള മാറ്റം {day_from} മതി
f കുറഞ്ഞ നിരക്കിലുള്ള {plan} പ്ലാനിലേക്ക് മാറ്റാൻ സാധിക്കുമോ
c {amount} രൂപയുടെ പ്ലാൻ മതി, ഇത് മാറ്റിത്തരൂ
c വിളി കുറവാണ്, നെറ്റ് കൂടുതലുള്ള പ്ലാനിലേക്ക് മാറ്റിക്കോളൂ
c {plan} പ്ലാൻ ഇപ്പോഴുമുണ്ടോ, അതിലേക്ക് മാറിയാലോ
m {amount_e} രൂപയുടെ plan ലേക്ക് change ചെയ്യാമോ
m current plan costly ആണ്, {plan_e} plan തരൂ
m next month മുതൽ {plan_e} plan മതി
r {plan_r} planilekku maattamo
r ippozhathe plan pora, {plan_r} plan venam
r kooduthal data ulla plan aakkanam
""",
    ),
    "cancel_service": Intent(
        "end a connection, a plan or an order",
        """
f {connection} കണക്ഷൻ വിച്ഛേദിക്കണം
f {plan} പ്ലാൻ റദ്ദാക്കണം
f {day_from} സേവനം അവസാനിപ്പിക്കാൻ ആഗ്രഹിക്കുന്നു
f {box} തിരികെ നൽകി കണക്ഷൻ അവസാനിപ്പിക്കണം
f എന്റെ അക്കൗണ്ട് സ്ഥിരമായി ക്ലോസ് ചെയ്യണം
f ബുക്ക് ചെയ്ത {item} റദ്ദാക്കാൻ സാധിക്കുമോ
f തനിയെ പുതുക്കുന്ന സംവിധാനം നിർത്തലാക്കണം
c {connection} കണക്ഷൻ ഇനി വേണ്ട
c കോളർ ട്യൂൺ വേണ്ട, അതൊന്ന് നിർത്തൂ
c വീട് മാറുകയാണ്, ഇവിടത്തെ {connection} കണക്ഷൻ കട്ടാക്കണം
c പത്രം വരുത്തുന്നത് നിർത്തണം, ഇനി കൊണ്ടുവരേണ്ട
c {plan} പ്ലാൻ എടുത്തത് അബദ്ധമായി, ഒഴിവാക്കിത്തരുമോ
c എല്ലാ മാസവും തനിയെ പൈസ പോകുന്നത് നിർത്തണം
m {connection_e} connection disconnect ചെയ്യണം
m {plan_e} plan cancel ചെയ്യണം
m subscription stop ചെയ്യൂ
r connection cancel cheyyanam
r {plan_r} plan ini venda, nirthanam
r caller tune nirthi tharumo
f {connection} കണക്ഷൻ ഉപേക്ഷിക്കാനുള്ള അപേക്ഷ നൽകണം
f {item} ആവശ്യമില്ല, ഓർഡർ പിൻവലിക്കുന്നു
c {connection} കണക്ഷൻ മതിയാക്കുകയാണ്, ഇനി ബിൽ അയയ്ക്കരുത്
c നിങ്ങളുടെ സേവനം മതിയായി, എല്ലാം നിർത്തിക്കോളൂ
c ആ {plan} പ്ലാൻ എടുത്തുകളയണം
m auto renewal off ചെയ്യണം
m {item_e} order cancel ചെയ്യാമോ
m account close ചെയ്യാൻ എന്ത് ചെയ്യണം
r {connection_r} connection venda, cut cheyyanam
r {item_r} order cancel cheyyanam
r ini ee service venda, nirthikkolu
f {connection} കണക്ഷൻ തുടരുന്നില്ല, വേണ്ടെന്നുവയ്ക്കുകയാണ്
f {day_from} {plan} പ്ലാൻ തുടരാൻ ആഗ്രഹിക്കുന്നില്ല
c ഞങ്ങൾ നാട്ടിലില്ല, {connection} കണക്ഷൻ ഒഴിവാക്കിത്തരൂ
c {item} ഇനി വേണ്ട, ഓർഡർ കളഞ്ഞേക്കൂ
c {plan} പ്ലാൻ തീരുമ്പോൾ പുതുക്കരുത്, മതിയാക്കാം
m {connection_e} service permanently stop ചെയ്യണം
m {plan_e} plan deactivate ചെയ്യൂ, ഇനി വേണ്ട
m {item_e} booking cancel ആക്കണം
r {connection_r} connection mathiyakkunnu, cut cheytholu
r {plan_r} plan cancel cheyyan enthu cheyyanam
""",
    ),
}
