"""Intents about money: balance, recharge, bills, and cards that got lost.

Written for this project; no native speaker has checked it.
"""

from data_foundry.bundled.intent import Intent

BILLING: dict[str, Intent] = {
    "check_balance": Intent(
        "how much money or data is left",
        """
f എന്റെ അക്കൗണ്ടിലെ ബാലൻസ് എത്രയാണെന്ന് പറയാമോ
f {account_in} ഇനി എത്ര രൂപയുണ്ടെന്ന് അറിയണം
f {card_of} ബാലൻസ് പരിശോധിക്കാനാണ് വിളിച്ചത്
f ബാക്കി തുക എത്രയെന്ന് മെസേജായി അയയ്ക്കാമോ
f {plan} പ്ലാനിൽ ഇനി എത്ര ഡേറ്റ ബാക്കിയുണ്ട്
f പലിശ ചേർന്ന ശേഷം ഇപ്പോൾ എത്ര രൂപയായെന്ന് പറയൂ
c ബാലൻസ് ഒന്ന് നോക്കി പറയാമോ
c {amount} രൂപ ഇട്ടിരുന്നു, ഇപ്പോ എത്ര ബാക്കിയുണ്ട്
c ഫോണിൽ വിളിക്കാൻ ഇനി എത്ര പൈസയുണ്ട്
c പെൻഷൻ കയറിയോ എന്നറിയണം, അക്കൗണ്ടിൽ എത്രയുണ്ട്
c ശമ്പളം വന്നോ, {bank_in} ഇപ്പോ എത്രയായി
c {account_in} കാശ് വല്ലതും ബാക്കിയുണ്ടോ
c നെറ്റ് എത്ര ജി ബി കൂടി ഉപയോഗിക്കാം
m account balance ഒന്ന് check ചെയ്യണം
m എന്റെ {card_e} balance എത്രയാ
m data balance എത്ര GB ഉണ്ട് എന്ന് പറയാമോ
m mini statement കിട്ടുമോ, ബാക്കി തുക അറിയാനാണ്
r balance ethra undu ennu parayamo
r ente {card_r} balance ethrayanu
r accountil ini ethra roopa bakkiyundu
r phonil ethra paisa undennu onnu nokkamo
c ഇന്നത്തെ കണക്കിൽ {account_in} എത്ര രൂപ കാണും
f അവസാനം നടന്ന ഇടപാടിന് ശേഷമുള്ള ബാക്കി തുക അറിയണം
m current balance എത്രയാണെന്ന് SMS അയയ്ക്കാമോ
m എന്റെ wallet ൽ ഇനി എത്ര ഉണ്ട്
r walletil ini ethra bakki undu
r {card_r} limit ini ethra bakki undu
r ini ethra GB data bakkiyundu
f {account_in} നിലവിലുള്ള തുക ഒന്ന് അറിയിക്കാമോ
f പണം എടുത്ത ശേഷം {bank_in} എത്ര രൂപ ശേഷിക്കുന്നു
f എന്റെ നമ്പറിൽ ശേഷിക്കുന്ന തുകയും കാലാവധിയും പറയാമോ
f {plan} പ്ലാനിൽ ഇനി എത്ര എസ് എം എസ് ബാക്കിയുണ്ട്
c {amount} രൂപയെങ്കിലും {account_in} കാണുമോ
c ഡേറ്റ തീരാറായോ, ഇനി എത്രയുണ്ട് ബാക്കി
c പൈസയെല്ലാം തീർന്നോ അതോ വല്ലതും ബാക്കിയുണ്ടോ
m {card_e} ൽ available balance എത്രയാണ്
m validity എന്ന് തീരും, balance എത്രയുണ്ട്
m salary credit ആയ ശേഷമുള്ള balance ഒന്ന് പറയൂ
r savings accountil balance ethrayanu
r {whose_r} phonil ethra balance undu
r netinte bakki ethra undennu parayu
""",
    ),
    "recharge": Intent(
        "put money or data on a phone or a prepaid service",
        """
f {amount} രൂപയ്ക്ക് റീചാർജ് ചെയ്യണം
f ഈ നമ്പറിലേക്ക് {amount} രൂപയുടെ റീചാർജ് ചെയ്തുതരുമോ
f {pay_card} ഉപയോഗിച്ച് റീചാർജ് ചെയ്യാൻ സാധിക്കുമോ
f {plan} പ്ലാൻ വീണ്ടും റീചാർജ് ചെയ്യാനാണ് വിളിച്ചത്
f {prepaid} {amount} രൂപയ്ക്ക് റീചാർജ് ചെയ്തുതരണം
f മറ്റൊരാളുടെ നമ്പർ റീചാർജ് ചെയ്യാൻ എന്ത് ചെയ്യണം
c ഫോണിലെ കാശ് തീർന്നു, ഒന്ന് കയറ്റിത്തരുമോ
c {whose} ഫോണിൽ {amount} രൂപ കയറ്റണം
c നെറ്റ് തീർന്നുപോയി, {amount} രൂപയ്ക്ക് ഇടണം
c റീചാർജ് തീരാറായി, ഇപ്പോഴേ പുതുക്കിവയ്ക്കാം
c ഒരു മാസത്തേക്കുള്ള നെറ്റ് ഇട്ടുതരണം
c വിളിക്കാൻ പൈസയില്ല, ടോക്ക് ടൈം ഇടണം
m {amount_e} രൂപയ്ക്ക് recharge ചെയ്യണം
m എന്റെ mobile ഒന്ന് recharge ചെയ്തു തരാമോ
m extra data pack add ചെയ്യണം
m talk time top up ചെയ്യാൻ പറ്റുമോ
r {amount_r} roopayude recharge venam
r phone onnu recharge cheyyanam
r {whose_r} numberil {amount_r} roopa idanam
r data theernnu poyi, vere pack ittu tharamo
f {prepaid} റീചാർജ് ചെയ്യാനുള്ള നടപടി എന്താണ്
c {amount} രൂപയുടെ ഓഫർ റീചാർജ് ഉണ്ടോ, അത് ചെയ്തുതരൂ
c കാലാവധി ഇന്ന് തീരും, അതിന് മുമ്പ് റീചാർജ് ചെയ്തോളൂ
m {amount_e} രൂപയുടെ data pack ഇട്ടുതരൂ
m DTH recharge ചെയ്യാനാണ് വിളിച്ചത്
r {amount_r} roopaykku top up cheyyanam
r ente number recharge cheythu tharumo
r oru masathe net pack venam
f എന്റെ നമ്പറിന്റെ കാലാവധി തീർന്നു, റീചാർജ് ചെയ്തുതരുമോ
f {day_from} മൂന്ന് മാസത്തേക്ക് റീചാർജ് ചെയ്യണം
f {whose} നമ്പറിൽ {plan} പ്ലാൻ റീചാർജ് ചെയ്യാമോ
c {prepaid} റീചാർജ് തീർന്നു, {amount} രൂപ ഇട്ടേക്കൂ
c പഴയ റീചാർജ് തന്നെ ഒന്നുകൂടി ഇട്ടാൽ മതി
c വൈകുന്നേരം യാത്രയുണ്ട്, {amount} രൂപയുടെ റീചാർജ് ഇട്ടോളൂ
m validity തീർന്നു, {amount_e} രൂപയുടെ pack recharge ചെയ്യൂ
m {plan_e} pack ഒന്നുകൂടി recharge ചെയ്യണം
m FASTag ൽ {amount_e} രൂപ add ചെയ്യണം
r {whose_r} phone recharge cheythu tharanam
r validity theernnu, {amount_r} roopa kayattanam
r {plan_r} pack recharge cheyyamo
""",
    ),
    "pay_bill": Intent(
        "pay a bill or arrears",
        """
f {bill} അടയ്ക്കാനാണ് വിളിച്ചത്
f {bill} ഫോണിലൂടെ അടയ്ക്കാൻ സാധിക്കുമോ
f {pay_card} വഴി {bill} അടയ്ക്കണം
f കഴിഞ്ഞ മാസത്തെ {bill} ഇപ്പോൾ അടയ്ക്കാമോ
f കുടിശ്ശിക മുഴുവൻ ഇന്ന് തന്നെ തീർക്കണം
f {bill} തവണകളായി അടയ്ക്കാൻ അനുവദിക്കുമോ
f പിഴയടക്കം {bill} അടച്ചുതീർക്കാൻ ആഗ്രഹിക്കുന്നു
c {bill} അടയ്ക്കാൻ മറന്നുപോയി, ഇനിയും അടയ്ക്കാമല്ലോ
c ബില്ലിന്റെ പൈസ ഞാൻ ഇപ്പോ തന്നെ അടച്ചേക്കാം
c ലൈൻ കട്ടാക്കരുത്, {bill} ഇപ്പോ അടയ്ക്കാം
c {amount} രൂപ ഇന്ന് അടയ്ക്കാം, ബാക്കി പിന്നെ തരാം
c ഓഫീസിൽ വരാതെ {bill} അടയ്ക്കാൻ വഴിയുണ്ടോ
m {bill_e} online ആയി pay ചെയ്യണം
m bill payment ന് ഏത് option ആണ് എടുക്കേണ്ടത്
m UPI വഴി {bill_e} അടയ്ക്കാൻ പറ്റുമോ
r {bill_r} adakkanam
r {bill_r} ippo thanne pay cheyyan pattumo
r kudissika ellam adachu theerkkanam
f {bill_of} പണം ഇപ്പോൾ സ്വീകരിക്കുമോ
c {bill} ഇന്ന് അടച്ചാൽ മതിയല്ലോ, അടച്ചേക്കാം
c പൈസ റെഡിയാണ്, {bill} എങ്ങനെയാ അടയ്ക്കേണ്ടത്
m {pay_card_e} വെച്ച് bill payment നടത്തണം
m pending bill മുഴുവൻ clear ചെയ്യണം
r {bill_r} adakkan enthu cheyyanam
r phone vazhi {bill_r} adakkamo
r {amount_r} roopa ippo adakkam
f {bill} അടയ്ക്കാനുള്ള ലിങ്ക് മെസേജായി അയയ്ക്കാമോ
f {bill} മുൻകൂറായി അടയ്ക്കാൻ ആഗ്രഹിക്കുന്നു
f കുടിശ്ശികയിൽ {amount} രൂപ ഇപ്പോൾ അടയ്ക്കാനാണ്
f രണ്ട് മാസത്തെ {bill} ഒന്നിച്ച് അടയ്ക്കാമോ
c {whose} പേരിലുള്ള {bill} ഞാൻ അടച്ചോളാം
c {bill} ഇതുവരെ അടച്ചില്ല, ഇപ്പോ അടച്ചാലോ
c ഇനി നീട്ടുന്നില്ല, {bill} ഇന്നുതന്നെ തീർത്തേക്കാം
m {bill_e} ന്റെ payment link അയയ്ക്കൂ
m {pay_card_e} ഉപയോഗിച്ച് {bill_e} അടയ്ക്കാൻ സാധിക്കുമോ
m {amount_e} രൂപ ഇപ്പോൾ pay ചെയ്യാം, ബാക്കി അടുത്ത ആഴ്ച
m last month ലെ {bill_e} pay ചെയ്തിട്ടില്ല, ഇപ്പോൾ ചെയ്യാം
r {bill_r} adakkan marannu, ippo adakkatte
r randu masathe {bill_r} onnichu adakkanam
r UPI vazhi {bill_r} adakkan pattumo
r bill paisa adakkan link ayakkumo
""",
    ),
    "bill_amount": Intent(
        "how much a bill is, and until when it is due",
        """
f ഈ മാസത്തെ {bill} എത്രയാണെന്ന് പറയാമോ
f {bill_of} തുക അറിയാനാണ് വിളിച്ചത്
f {bill} അടയ്ക്കേണ്ട അവസാന തീയതി എന്നാണ്
f എന്റെ പേരിൽ എത്ര രൂപ കുടിശ്ശികയുണ്ട്
f പിഴ ചേർത്ത് ആകെ എത്ര രൂപ അടയ്ക്കണം
f {bill_of} വിശദാംശങ്ങൾ മെസേജായി അയയ്ക്കുമോ
c {bill} ഇത്തവണ എത്ര വന്നു
c ഞാൻ എത്ര രൂപയാ അടയ്ക്കേണ്ടത്
c {bill} എത്രയായെന്ന് ഒന്ന് നോക്കാമോ
c ബിൽ വീട്ടിൽ കിട്ടിയില്ല, തുക എത്രയാണ്
c എന്നുവരെ {bill} അടയ്ക്കാൻ സമയമുണ്ട്
c കഴിഞ്ഞ മാസം {amount} ആയിരുന്നു, ഇപ്പോഴത്തെ ബിൽ എത്രയാ
c മീറ്റർ നോക്കിപ്പോയല്ലോ, എത്രയാ ബിൽ വന്നത്
m {bill_e} amount എത്രയാണ്
m ഈ മാസത്തെ bill എത്രയായി
m due date എന്നാണെന്ന് പറയാമോ
r {bill_r} ethrayanu ennu parayamo
r ee masathe bill ethra vannu
r bill adakkenda last date ennanu
f {bill_of} ആകെ തുക ദയവായി അറിയിക്കൂ
f അടുത്ത ബിൽ എന്ന് വരും, എത്രയായിരിക്കും
c {bill} വന്നിട്ടുണ്ടോ, വന്നെങ്കിൽ എത്രയാ തുക
c ഇനി എത്ര അടയ്ക്കാൻ ബാക്കിയുണ്ട്, തുക മാത്രം പറഞ്ഞാൽ മതി
m outstanding amount എത്രയാണെന്ന് അറിയണം
m {bill_e} due എത്ര രൂപയുണ്ട്
r ethra roopayanu njan adakkendathu
r {bill_r} thuka onnu parayamo
r kudissika ethrayundu
f {bill_of} അവസാന തീയതിയും തുകയും അറിയിക്കാമോ
f കഴിഞ്ഞ രണ്ട് മാസത്തെ {bill} എത്ര വീതമായിരുന്നു
f {bill} ഇനത്തിൽ ആകെ എത്ര രൂപ നൽകാനുണ്ട്
c {bill} അടയ്ക്കേണ്ടത് നാളെയാണോ, എത്ര രൂപയാ
c {bill} വന്ന മെസേജ് കണ്ടില്ല, എത്രയാ വന്നത്
c ഇത്തവണത്തെ ബിൽ {amount} കടന്നോ
m {bill_e} ന്റെ last date എന്നാണ്
m total due amount ഒന്ന് പറയാമോ
m bill generate ആയോ, amount എത്രയാ
r {bill_r} adakkan ennu vare samayam undu
r {bill_r} ethra vannennu message ayakkamo
r ithavana bill ethra roopayanu
""",
    ),
    "bill_dispute": Intent(
        "a bill or a charge is wrong",
        """
f {bill} ഇത്രയും കൂടാൻ കാരണം എന്താണ്
f {bill_in} തെറ്റുണ്ട്, പരിശോധിക്കണം
f {amount} രൂപ അധികമായി ഈടാക്കിയിരിക്കുന്നു
f ഒരിക്കൽ അടച്ച {bill} വീണ്ടും വന്നിരിക്കുന്നു
f ഉപയോഗിക്കാത്ത സേവനത്തിന് {amount} രൂപ എടുത്തിട്ടുണ്ട്
f മീറ്റർ റീഡിങ് തെറ്റായി രേഖപ്പെടുത്തിയതാണ്
f അധികമായി എടുത്ത പണം തിരികെ നൽകണം
c സാധാരണ {amount} രൂപയേ വരാറുള്ളൂ, ഇത്തവണ ഇരട്ടിയായി
c രണ്ട് തവണ പൈസ പോയി, എന്താ കാരണം
c ഇത്രയൊന്നും ഉപയോഗിച്ചിട്ടില്ല, {bill} ശരിയല്ല
c വീട് പൂട്ടിക്കിടക്കുകയാണ്, എന്നിട്ടും {bill} വന്നു
c {bill} ഇത്ര വരാൻ ഒരു വഴിയുമില്ല
c റീചാർജിന് പൈസ പിടിച്ചു, പക്ഷേ പ്ലാൻ കിട്ടിയില്ല
m {bill_e} wrong ആണ്, ഒന്ന് ശരിയാക്കണം
m extra charge എന്തിനാണ് എടുത്തത്
m payment fail ആയി, പക്ഷേ {amount_e} രൂപ cut ആയി
r {bill_r} thettanu, onnu check cheyyanam
r enthinanu {amount_r} roopa kooduthal eduthathu
r bill ithra varan karanam enthanu
f {bill_of} കണക്ക് ശരിയല്ല, പുനഃപരിശോധിക്കണം
f എടുക്കാത്ത പ്ലാനിന് പണം ഈടാക്കിയത് എന്തിനാണ്
c ഇത് കൊള്ളയാണ്, {bill} ഇത്ര കൂടിയത് എങ്ങനെയാ
c എന്റെ കൈയിൽ നിന്ന് {amount} രൂപ കൂടുതൽ പിടിച്ചു, തിരിച്ചുതരണം
m {bill_e} ഇത്ര high ആകാൻ കാരണം എന്താ
m double payment ആയിപ്പോയി, refund വേണം
r {bill_r} ithra koodiyathu engane
r randu thavana paisa poyi, thirichu tharanam
r meter reading thettanu
f {bill_of} തുക തെറ്റാണെന്ന് കരുതുന്നു, വിശദീകരണം വേണം
f അടച്ച {bill} കുടിശ്ശികയായി കാണിക്കുന്നത് ശരിയല്ല
f {bill_in} അനുവദിച്ച ഇളവ് ചേർത്തിട്ടില്ല
c മീറ്ററിൽ കാണുന്നതല്ല ബില്ലിൽ എഴുതിയിരിക്കുന്നത്
c {bill_in} {amount} രൂപ കൂട്ടിയിട്ടിരിക്കുന്നു, അത് കുറയ്ക്കണം
c ഒറ്റ ഫാനേയുള്ളൂ, എന്നിട്ട് ഇത്ര ബില്ലോ
m {bill_e} ൽ calculation mistake ഉണ്ട്
m late fee എന്തിനാ ഇട്ടത്, ഞാൻ time ൽ അടച്ചതാണ്
m {amount_e} രൂപ wrong ആയി debit ആയി, തിരികെ വേണം
r {bill_r} adachathanu, pinneyum vannathu enthinanu
r {amount_r} roopa veruthe pidichu, thirike venam
r ithrayum upayogichittilla, {bill_r} sheriyalla
""",
    ),
    "block_card": Intent(
        "a card, a SIM or an account must be blocked at once",
        """
f {card} നഷ്ടപ്പെട്ടു, ഉടൻ ബ്ലോക്ക് ചെയ്യണം
f {card} ആരോ മോഷ്ടിച്ചു, പ്രവർത്തനം നിർത്തണം
f ഞാനറിയാതെ അക്കൗണ്ടിൽ നിന്ന് {amount} രൂപ പോയി, കാർഡ് തടയണം
f എന്റെ {card} താൽക്കാലികമായി ബ്ലോക്ക് ചെയ്യണം
f മൊബൈൽ നഷ്ടപ്പെട്ടതിനാൽ സിം നിർത്തലാക്കണം
f തട്ടിപ്പ് നടന്നെന്ന് സംശയമുണ്ട്, അക്കൗണ്ട് മരവിപ്പിക്കണം
c {card} എവിടെയോ കളഞ്ഞുപോയി, അതൊന്ന് പൂട്ടണം
c പേഴ്സ് പോയി, അതിൽ {card} ഉണ്ടായിരുന്നു
c {card} ബസ്സിൽ വെച്ച് പോയി, ആരും ഉപയോഗിക്കാതെ നോക്കണം
c ആരോ വിളിച്ച് ഒ ടി പി ചോദിച്ചു, ഞാൻ പറഞ്ഞുപോയി, ഇനി പൈസ എടുക്കാൻ പറ്റാതാക്കണം
c ഫോൺ കാണാനില്ല, നമ്പർ ഉടനെ കട്ടാക്കണം
c {card} മെഷീനിൽ കുടുങ്ങി, വേറെയാരും എടുക്കാതെ ബ്ലോക്കാക്കൂ
m എന്റെ {card_e} lost ആയി, block ചെയ്യണം
m unknown transaction കണ്ടു, {card_e} freeze ചെയ്യൂ
m phone മോഷണം പോയി, SIM block ചെയ്യണം
r {card_r} kalanju poyi, block cheyyanam
r purse poyi, {card_r} udane nirthanam
r ente cardil ninnu aaro paisa eduthu, onnu block cheyyu
f {card} അപരിചിതർ ഉപയോഗിക്കുന്നുണ്ട്, ഉടൻ തടയണം
f പണം തട്ടിയെടുക്കാൻ ശ്രമം നടന്നു, {card} റദ്ദാക്കി സുരക്ഷിതമാക്കണം
c {card} കാണുന്നില്ല, ആരുടെയെങ്കിലും കൈയിൽ കിട്ടും മുമ്പ് ബ്ലോക്കാക്കണം
m {card_e} കാണുന്നില്ല, immediately block ചെയ്യൂ
m fraud call വന്നു, account lock ചെയ്യണം
r {card_r} moshanam poyi, udane block cheyyu
r phone kanunnilla, SIM block cheyyanam
r OTP paranju poyi, account block cheyyanam
f {card} കൈമോശം വന്നു, ഉടൻ പ്രവർത്തനരഹിതമാക്കണം
f സിം മറ്റാരോ ഉപയോഗിക്കുന്നു, ഉടൻ നിർത്തിവയ്ക്കണം
f {card_of} വിവരങ്ങൾ ചോർന്നു, ഇടപാടുകൾ തടയണം
f അറിയാത്ത ഒരിടത്ത് {pay_card} ഉപയോഗിച്ചതായി സന്ദേശം വന്നു, തടയണം
c {card} എവിടെ വെച്ചെന്ന് ഓർമയില്ല, തൽക്കാലം ബ്ലോക്കാക്കണം
c ബാഗ് ആരോ തട്ടിപ്പറിച്ചു, {card} അതിലുണ്ട്, നിർത്തിക്കോളൂ
c ഏതോ ലിങ്കിൽ തൊട്ടു, പൈസ പോകും മുമ്പ് അക്കൗണ്ട് പൂട്ടണം
c {amount} രൂപ പോയെന്ന് മെസേജ് വന്നു, ഞാനല്ല എടുത്തത്, കാർഡ് ബ്ലോക്കാക്കൂ
m {card_e} stolen ആണ്, ഉടനെ deactivate ചെയ്യണം
m wallet theft ആയി, {card_e} stop ചെയ്യൂ
m {pay_card_e} ആരോ misuse ചെയ്യുന്നുണ്ട്, block ആക്കണം
r {card_r} kaananilla, udan block cheyyamo
r ariyatha transaction kandu, {card_r} thadayanam
r mobile moshanam poyi, number cut cheyyanam
""",
    ),
}
