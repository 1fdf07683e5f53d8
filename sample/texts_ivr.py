"""What callers and systems say on a Malayalam telephone line, with its English.

Balance, recharge, bills, outages, complaints, plans, agents, numbers, dates, places, yes and no. Written for this
project; no native speaker has checked it. One template a line, ``malayalam | english``.
"""

SLOTS: dict[str, str] = {
    "account": "അക്കൗണ്ടിലെ=account; പ്രീപെയ്ഡ് നമ്പറിലെ=prepaid number; വാലറ്റിലെ=wallet; "
    "എ ടി എം കാർഡിലെ=ATM card; ഫോണിലെ=phone; സേവിങ്സ് അക്കൗണ്ടിലെ=savings account",
    "recharge": "മൊബൈൽ=the mobile; ഡിഷ് ടിവി=the dish TV; മെട്രോ കാർഡ്=the metro card; ഡേറ്റ കാർഡ്=the data card; "
    "ഫാസ്ടാഗ്=the FASTag; അമ്മയുടെ ഫോൺ=mother's phone",
    "bill": "വൈദ്യുതി ബിൽ=electricity bill; വെള്ളക്കരം=water charge; ഫോൺ ബിൽ=phone bill; ഗ്യാസ് ബിൽ=gas bill; "
    "ബ്രോഡ്ബാൻഡ് ബിൽ=broadband bill; കേബിൾ ബിൽ=cable bill; ലാൻഡ്‌ലൈൻ ബിൽ=landline bill; "
    "കെട്ടിടനികുതി=building tax; ഇൻഷുറൻസ് തുക=insurance amount; വായ്പാ ഗഡു=loan instalment",
    "supply": "വൈദ്യുതി=electricity; കുടിവെള്ളം=drinking water; ഇന്റർനെറ്റ്=internet; ഫോൺ സിഗ്നൽ=phone signal; "
    "കേബിൾ കണക്ഷൻ=cable connection",
    "service": "വൈദ്യുതി വിതരണം=the electricity supply; ജലവിതരണം=the water supply; "
    "ഇന്റർനെറ്റ് സേവനം=the internet service; കേബിൾ സേവനം=the cable service; ഫോൺ സേവനം=the phone service",
    "device": "ഇന്റർനെറ്റ്=the internet; മോഡം=the modem; ലാൻഡ്‌ലൈൻ=the landline; സിം കാർഡ്=the SIM card; "
    "മീറ്റർ=the meter; മൊബൈൽ ആപ്പ്=the mobile app; സെറ്റ് ടോപ് ബോക്സ്=the set-top box; "
    "റൗട്ടർ=the router; സ്വൈപ്പ് മെഷീൻ=the swipe machine; വെബ്സൈറ്റ്=the website",
    "lost": "സിം കാർഡ്=SIM card; എ ടി എം കാർഡ്=ATM card; ഫോൺ=phone; ക്രെഡിറ്റ് കാർഡ്=credit card; "
    "മെട്രോ കാർഡ്=metro card; പാസ്ബുക്ക്=passbook",
    "plan": "പ്രതിമാസ=monthly; വാർഷിക=annual; കുടുംബ=family; വിദ്യാർഥി=student; അൺലിമിറ്റഡ്=unlimited; "
    "പ്രീപെയ്ഡ്=prepaid; പോസ്റ്റ്പെയ്ഡ്=postpaid; ഡേറ്റ=data; ടോക്ക് ടൈം=talk time; "
    "അന്താരാഷ്ട്ര=international",
    "desk": "ഏജന്റുമായി=an agent; മാനേജരുമായി=the manager; കസ്റ്റമർ കെയറുമായി=customer care; "
    "സാങ്കേതിക വിഭാഗവുമായി=the technical section; ബില്ലിങ് വിഭാഗവുമായി=the billing section; "
    "പരാതി വിഭാഗവുമായി=the complaints section; സൂപ്പർവൈസറുമായി=the supervisor; "
    "വനിതാ ഏജന്റുമായി=a woman agent; മറ്റൊരു ഏജന്റുമായി=another agent; ഡോക്ടറുമായി=the doctor",
    "language": "മലയാളത്തിൽ=in Malayalam; ഇംഗ്ലീഷിൽ=in English; ഹിന്ദിയിൽ=in Hindi; തമിഴിൽ=in Tamil; കന്നഡയിൽ=in Kannada",
    "menu": "ബാലൻസ്=the balance; ബിൽ തുക=the bill amount; പുതിയ പ്ലാനുകൾ=the new plans; "
    "പരാതിയുടെ നില=the status of the complaint; അവസാന തീയതി=the last date; "
    "റീചാർജ് വിവരങ്ങൾ=the recharge details; ഓഫർ വിവരങ്ങൾ=the offer details; "
    "ബുക്കിങ് നില=the booking status; അടുത്ത ഓഫീസ്=the nearest office; ബസ് സമയം=the bus time; "
    "വായ്പാ വിവരങ്ങൾ=the loan details; ഡേറ്റ ഉപയോഗം=the data usage",
    "topic": "വൈദ്യുതി മുടക്കം=the power cut; കുടിവെള്ളം=drinking water; ബിൽ തുക=the bill amount; "
    "ഇന്റർനെറ്റ് വേഗത=the internet speed; റീചാർജ്=the recharge; തെരുവുവിളക്ക്=the street light; "
    "പുതിയ കണക്ഷൻ=the new connection; മീറ്റർ റീഡിങ്=the meter reading; "
    "ഗ്യാസ് സിലിണ്ടർ=the gas cylinder; റേഷൻ കാർഡ്=the ration card; പെൻഷൻ=the pension; "
    "കോൾ നിരക്ക്=the call rate",
    "product": "സിം കാർഡ്=SIM card; ഗ്യാസ് സിലിണ്ടർ=gas cylinder; ചെക്ക് ബുക്ക്=cheque book; മോഡം=modem; "
    "എ ടി എം കാർഡ്=ATM card; മരുന്ന്=medicine; പാഴ്സൽ=parcel",
    "ticket": "ബസ് ടിക്കറ്റ്=bus ticket; ട്രെയിൻ ടിക്കറ്റ്=train ticket; വിമാന ടിക്കറ്റ്=plane ticket; സിനിമാ ടിക്കറ്റ്=film ticket",
    "trip": "ബസ് ടിക്കറ്റ്=bus ticket; ട്രെയിൻ ടിക്കറ്റ്=train ticket; വിമാന ടിക്കറ്റ്=plane ticket; ബോട്ട് ടിക്കറ്റ്=boat ticket",
    "request": "അപേക്ഷ=application; പരാതി=complaint; അഭ്യർത്ഥന=request; ബുക്കിങ്=booking; "
    "പണമിടപാട്=money transfer; രജിസ്ട്രേഷൻ=registration",
    "reference": "പരാതി നമ്പർ=complaint number; കൺസ്യൂമർ നമ്പർ=consumer number; ഉപഭോക്തൃ നമ്പർ=customer number; "
    "ബുക്കിങ് നമ്പർ=booking number; അപേക്ഷാ നമ്പർ=application number; റഫറൻസ് നമ്പർ=reference number; "
    "അക്കൗണ്ട് നമ്പർ=account number; ടോക്കൺ നമ്പർ=token number",
    "staff": "ലൈൻമാൻ=the lineman; ടെക്നീഷ്യൻ=the technician; ഏജന്റ്=the agent; മീറ്റർ റീഡർ=the meter reader; "
    "എൻജിനീയർ=the engineer; ഡെലിവറി ബോയ്=the delivery boy",
    "office": "ഓഫീസ്=the office; കൗണ്ടർ=the counter; സേവനകേന്ദ്രം=the service centre; "
    "കസ്റ്റമർ കെയർ=customer care; ശാഖ=the branch",
    "gb": "ഒരു=one; ഒന്നര=one and a half; രണ്ട്=two; രണ്ടര=two and a half; മൂന്ന്=three; നാല്=four; അഞ്ച്=five; പത്ത്=ten",
}

TEMPLATES: dict[str, str] = {
    "": """
എന്റെ {account} ബാലൻസ് എത്രയാണ് | what is the balance on my {account}
{account} ബാലൻസ് {amount} രൂപയാണ് | the balance on the {account} is {amount} rupees
{recharge} {amount} രൂപയ്ക്ക് റീചാർജ് ചെയ്യണം | I want to recharge {recharge} for {amount} rupees
{month_of} {bill} ഇതുവരെ കിട്ടിയില്ല | I have not yet received the {bill} {month_of}
{in_place} {since} {supply} ഇല്ല | there has been no {supply} {in_place} {since}
നാളെ {in_place} {few} മണിക്കൂർ {service} മുടങ്ങും | {service} will stop for {few} hours {in_place} tomorrow
എന്റെ {reference} {digit} {digit} {digit} {digit} | my {reference} is {digit} {digit} {digit} {digit}
{topic} സംബന്ധിച്ച് ഒരു പരാതിയുണ്ട് | I have a complaint about {topic}
{plan} പ്ലാനിലേക്ക് മാറാൻ എന്ത് ചെയ്യണം | what must I do to change to the {plan} plan
ദയവായി കോൾ {desk} ബന്ധിപ്പിക്കൂ | please connect the call to {desk}
{language} സംസാരിക്കാൻ {key} അമർത്തുക | to speak {language} press {key}
{menu} അറിയാൻ {key} അമർത്തുക | to know {menu} press {key}
താങ്കളുടെ {bill} {amount} രൂപയാണ് | your {bill} is {amount} rupees
{month} {ordinal} തീയതിക്ക് മുമ്പ് {bill} അടയ്ക്കണം | the {bill} must be paid before the {ordinal} of {month}
അതെ, {month_of} {bill} അടച്ചിട്ടുണ്ട് | yes, the {bill} {month_of} has been paid
ഇല്ല, {month_of} {bill} അടച്ചിട്ടില്ല | no, the {bill} {month_of} has not been paid
അല്ല, എനിക്ക് {plan} പ്ലാൻ വേണ്ട | no, I do not want the {plan} plan
അതെ, എനിക്ക് {amount} രൂപയുടെ {plan} പ്ലാൻ മതി | yes, the {plan} plan of {amount} rupees is enough for me
{since} {device} പ്രവർത്തിക്കുന്നില്ല | {device} has not been working {since}
എന്റെ {lost} നഷ്ടപ്പെട്ടു, ഉടൻ ബ്ലോക്ക് ചെയ്യണം | I have lost my {lost}, it must be blocked at once
അക്കൗണ്ടിൽ നിന്ന് {amount} രൂപ കുറഞ്ഞിട്ടുണ്ട് | {amount} rupees have gone from the account
{plan} പ്ലാനിന്റെ കാലാവധി {day_f} തീരും | the {plan} plan expires {day_f}
{in_place} {office} എവിടെയാണെന്ന് പറയാമോ | can you say where {office} is {in_place}
{in_place} {office} {clock}ക്ക് തുറക്കും | {office} {in_place} opens at {clock}
{weekday} {part} {staff} വരും | {staff} will come {weekday} {part}
എന്റെ മീറ്റർ റീഡിങ് {units} യൂണിറ്റാണ് | my meter reading is {units} units
{bill} ഓൺലൈനായി അടയ്ക്കാൻ കഴിയുന്നില്ല | I am not able to pay the {bill} online
{day_p} നൽകിയ {request} എന്തായി | what became of the {request} made {day_p}
{weekday} {product} വീട്ടിൽ എത്തിക്കാമോ | can you deliver the {product} at home {weekday}
{day_f} {to_place} ഒരു {trip} വേണം | I need a {trip} {to_place} {day_f}
{few} {ticket} ബുക്ക് ചെയ്യണം | I want to book {few} {ticket}s
എന്റെ വിലാസം {to_place} മാറ്റണം | my address must be changed {to_place}
{plan} പ്ലാനിൽ ദിവസവും {gb} ജി ബി കിട്ടും | in the {plan} plan you get {gb} GB every day
{amount} രൂപയ്ക്ക് റീചാർജ് ചെയ്തിട്ടും {supply} ഇല്ല | there is no {supply} even after recharging for {amount} rupees
താങ്കളുടെ {request} {day_f} പരിഗണിക്കും | your {request} will be considered {day_f}
കോൾ കട്ടായി, വീണ്ടും {desk} സംസാരിക്കണം | the call was cut, I want to speak to {desk} again
{in_place} {service} എപ്പോൾ ശരിയാകും | when will {service} be restored {in_place}
എന്റെ {product} {day_p} കിട്ടേണ്ടതായിരുന്നു | my {product} should have come {day_p}
{amount} രൂപ അടച്ചു, {bill} രസീത് വേണം | I paid {amount} rupees, I need the {bill} receipt
{topic} സംബന്ധിച്ച വിവരങ്ങൾക്ക് {key} അമർത്തുക | for details about {topic} press {key}
{request} സ്വീകരിച്ചു, {reference} {digit} {digit} {digit} | {request} accepted, {reference} {digit} {digit} {digit}
{in_place} {weekday} {clock}ക്ക് വൈദ്യുതി മുടങ്ങും | the power will be cut {in_place} {weekday} at {clock}
ശരി, {clock}ക്ക് എന്നെ തിരിച്ചു വിളിക്കൂ | all right, call me back at {clock}
തെറ്റായ നമ്പർ, വീണ്ടും {key} അമർത്തുക | wrong number, press {key} again
പിൻ നമ്പർ {digit} {digit} {digit} {digit} ശരിയാണോ | is the PIN number {digit} {digit} {digit} {digit} correct
അതെ, {digit} {digit} {digit} {digit} ശരിയാണ് | yes, {digit} {digit} {digit} {digit} is correct
അല്ല, എന്റെ {reference} {digit} {digit} {digit} ആണ് | no, my {reference} is {digit} {digit} {digit}
എനിക്ക് {day_f} {desk} സംസാരിക്കണം | I want to speak to {desk} {day_f}
""",
}
