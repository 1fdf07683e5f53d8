"""Everyday Malayalam sentences with their English: weather, family, food, travel, shopping, numbers and time.

Written for this project; no native speaker has checked it. One template a line, ``malayalam | english``.
"""

SLOTS: dict[str, str] = {
    "vehicle": "ബസ്=bus; ട്രെയിൻ=train; ബോട്ട്=boat; ജീപ്പ്=jeep; വണ്ടി=vehicle",
    "by_vehicle": "ബസിൽ=by bus; ട്രെയിനിൽ=by train; കാറിൽ=by car; ബോട്ടിൽ=by boat; വിമാനത്തിൽ=by plane; "
    "സ്കൂട്ടറിൽ=by scooter; ഓട്ടോയിൽ=by autorickshaw",
    "is_job": "ഡോക്ടറാണ്=is a doctor; എൻജിനീയറാണ്=is an engineer; വക്കീലാണ്=is a lawyer; ഡ്രൈവറാണ്=is a driver; "
    "കർഷകനാണ്=is a farmer; പോലീസുകാരനാണ്=is a policeman; പാട്ടുകാരനാണ്=is a singer",
    "man": "ചേട്ടൻ=elder brother; അച്ഛൻ=father; അനിയൻ=younger brother; അമ്മാവൻ=uncle; കൂട്ടുകാരൻ=friend; അയൽക്കാരൻ=neighbour",
    "colour": "ചുവന്ന=red; പച്ച=green; നീല=blue; മഞ്ഞ=yellow; വെളുത്ത=white; കറുത്ത=black",
    "outside": "മുറ്റത്ത്=in the yard; മൈതാനത്ത്=on the ground; കടൽത്തീരത്ത്=on the beach; പാർക്കിൽ=in the park; "
    "പാടത്ത്=in the field; റോഡരികിൽ=by the roadside; പുഴയുടെ തീരത്ത്=on the river bank",
    "room": "അടുക്കളയിൽ=in the kitchen; മുറിയിൽ=in the room; വരാന്തയിൽ=on the veranda; വീട്ടിൽ=at home; "
    "മരച്ചുവട്ടിൽ=under the tree",
    "is_doing": "പുസ്തകം വായിക്കുകയാണ്=is reading a book; ഉറങ്ങുകയാണ്=is sleeping; "
    "പാട്ട് കേൾക്കുകയാണ്=is listening to a song; കത്തെഴുതുകയാണ്=is writing a letter; "
    "ചായ കുടിക്കുകയാണ്=is drinking tea; പാട്ട് പാടുകയാണ്=is singing a song; "
    "പത്രം വായിക്കുകയാണ്=is reading the newspaper; വിശ്രമിക്കുകയാണ്=is resting",
    "festival": "ഓണത്തിന്=for Onam; വിഷുവിന്=for Vishu; ക്രിസ്മസിന്=for Christmas; പെരുന്നാളിന്=for Eid; "
    "പൂരത്തിന്=for the Pooram; പിറന്നാളിന്=for the birthday",
    "trees": "തെങ്ങ്=coconut palms; മാവ്=mango trees; പ്ലാവ്=jackfruit trees; കവുങ്ങ്=areca palms; "
    "വാഴ=banana plants; പേരമരം=guava trees",
    "fur": "വെളുത്ത=white; കറുത്ത=black; തവിട്ട്=brown; ചെറിയ=small; വലിയ=big",
    "animal": "പൂച്ച=cat; പട്ടി=dog; പശു=cow; ആട്=goat; കോഴി=hen; ആന=elephant; മുയൽ=rabbit",
    "event": "വിവാഹം=the wedding; പരീക്ഷ=the exam; യാത്ര=the trip; ഉത്സവം=the festival; യോഗം=the meeting; "
    "ഗൃഹപ്രവേശം=the housewarming",
    "illness": "പനിയാണ്=a fever; തലവേദനയാണ്=a headache; ജലദോഷമാണ്=a cold; ചുമയാണ്=a cough; "
    "വയറുവേദനയാണ്=a stomach ache; പല്ലുവേദനയാണ്=a toothache",
    "subject": "കണക്ക്=maths; ചരിത്ര=history; സയൻസ്=science; ഇംഗ്ലീഷ്=English; മലയാളം=Malayalam; സംഗീത=music; ഹിന്ദി=Hindi",
    "errand": "ചന്തയിൽ=to the market; ക്ഷേത്രത്തിൽ=to the temple; പള്ളിയിൽ=to the church; "
    "ആശുപത്രിയിൽ=to the hospital; ലൈബ്രറിയിൽ=to the library; സ്കൂളിൽ=to the school; കടയിൽ=to the shop; "
    "മൃഗശാലയിൽ=to the zoo",
    "curry": "സാമ്പാറിൽ=sambar; മീൻകറിയിൽ=fish curry; ചമ്മന്തിയിൽ=chutney; അച്ചാറിൽ=pickle; രസത്തിൽ=rasam; കഞ്ഞിയിൽ=gruel",
    "too": "ഉപ്പ് കൂടുതലാണ്=too much salt; എരിവ് കൂടുതലാണ്=too much chilli; ഉപ്പ് കുറവാണ്=too little salt; "
    "പുളി കുറവാണ്=too little tamarind",
    "river": "പെരിയാർ=the Periyar; പമ്പ=the Pamba; ഭാരതപ്പുഴ=the Bharathappuzha; ചാലിയാർ=the Chaliyar; മീനച്ചിലാർ=the Meenachil",
    "season": "മഴക്കാലത്ത്=in the rainy season; കർക്കടകത്തിൽ=in Karkidakam; ജൂൺ മാസത്തിൽ=in June; തുലാമാസത്തിൽ=in Thulam",
    "weather_f": "നല്ല മഴ പെയ്യും=it will rain hard; ശക്തമായ കാറ്റ് വീശും=a strong wind will blow; "
    "ഇടിമിന്നൽ ഉണ്ടാകും=there will be lightning; ചൂട് കൂടും=the heat will rise; "
    "മഞ്ഞ് വീഴും=mist will fall",
    "weather_p": "കടുത്ത ചൂടായിരുന്നു=it was very hot; നല്ല തണുപ്പായിരുന്നു=it was quite cold; "
    "വെള്ളപ്പൊക്കം ഉണ്ടായി=there was a flood; ചെറിയ മഴ പെയ്തു=it rained a little; "
    "ആകാശം തെളിഞ്ഞിരുന്നു=the sky was clear",
    "skill": "നന്നായി പാടും=sings well; വേഗത്തിൽ ഓടും=runs fast; നന്നായി നീന്തും=swims well; "
    "നന്നായി ചിത്രം വരയ്ക്കും=draws well; കഥകൾ പറയും=tells stories; നന്നായി പാചകം ചെയ്യും=cooks well",
}

TEMPLATES: dict[str, str] = {
    "": """
{day_f} {in_town} {weather_f} | {in_town} {weather_f} {day_f}
{day_p} {in_town} {weather_p} | {in_town} {weather_p} {day_p}
{person} {day_f} {to_town} പോകും | {person} will go {to_town} {day_f}
{person} {day_p} {from_city} മടങ്ങിവന്നു | {person} came back {from_city} {day_p}
{person} {part} {food} കഴിച്ചു | {person} ate {food} {part}
{to_person} {food} വളരെ ഇഷ്ടമാണ് | {to_person} likes {food} very much
കടയിൽ നിന്ന് {few} കിലോ {grocery} വാങ്ങണം | we must buy {few} kilos of {grocery} from the shop
ഒരു കിലോ {grocery} {price} രൂപയാണ് | a kilo of {grocery} is {price} rupees
{to_town} പോകുന്ന {vehicle} {hour} മണിക്ക് വരും | the {vehicle} going {to_town} comes at {hour} o'clock
{person} {few} മണിക്കൂർ {in_town} കാത്തിരുന്നു | {person} waited for {few} hours {in_town}
എന്റെ {man} {in_town} {is_job} | my {man} {is_job} {in_town}
{person} {day_p} ഒരു {thing} വാങ്ങി | {person} bought a {thing} {day_p}
ആ {colour} {thing} എനിക്ക് ഇഷ്ടപ്പെട്ടു | I liked that {colour} {thing}
കുട്ടികൾ {part} {outside} കളിക്കും | the children play {outside} {part}
{person} {room} {is_doing} | {person} {is_doing} {room}
{clock}ക്ക് {person} എത്തും | {person} will arrive at {clock}
സമയം ഇപ്പോൾ {clock}യായി | the time is now {clock}
ഈ ക്ലാസിൽ {heads} കുട്ടികൾ ഉണ്ട് | there are {heads} children in this class
{to_person} ഇപ്പോൾ {age} വയസ്സായി | {to_person} is now {age} years old
{festival} ഞങ്ങൾ {to_town} പോകും | {festival} we will go {to_town}
{festival} {person} {food} ഉണ്ടാക്കി | {festival} {person} made {food}
ഞങ്ങളുടെ തോട്ടത്തിൽ {few} {trees} ഉണ്ട് | there are {few} {trees} in our garden
{fur} {animal} {outside} ഉറങ്ങുന്നു | the {fur} {animal} is sleeping {outside}
{person} {by_vehicle} {to_town} യാത്ര ചെയ്തു | {person} travelled {to_town} {by_vehicle}
{from_city} {to_town} എത്ര ദൂരമുണ്ട് | how far is it {from_city} {to_town}
{weekday} {person} {in_town} ഉണ്ടാകും | {person} will be {in_town} {weekday}
{month} {ordinal} തീയതിയാണ് {event} | {event} is on the {ordinal} of {month}
ഈ {colour} {thing} എവിടെ നിന്നാണ് വാങ്ങിയത് | where did you buy this {colour} {thing}
{person} എനിക്ക് ഒരു {thing} സമ്മാനം തന്നു | {person} gave me a {thing} as a gift
{river} {season} നിറഞ്ഞൊഴുകും | {river} overflows {season}
{day_p} {person} {outside} നടക്കാൻ പോയി | {person} went for a walk {outside} {day_p}
ഞാൻ {day_p} {with_person} {errand} പോയി | I went {errand} {with_person} {day_p}
{since} {to_person} {illness} | {to_person} has had {illness} {since}
{subject} പരീക്ഷയിൽ {to_person} നല്ല മാർക്ക് കിട്ടി | {to_person} got good marks in the {subject} exam
{few} മണിക്കൂർ കഴിഞ്ഞ് {person} {in_town} എത്തും | {person} will arrive {in_town} after {few} hours
ഇന്നത്തെ {curry} {too} | there is {too} in today's {curry}
{person} {in_town} വെച്ച് {thing} മറന്നു | {person} forgot the {thing} {in_town}
എന്റെ {man} {skill} | my {man} {skill}
{weekday} {subject} ക്ലാസ് {hour} മണിക്കാണ് | the {subject} class is at {hour} o'clock {weekday}
ബസ് നമ്പർ {digit} {digit} {digit} {digit} | bus number {digit} {digit} {digit} {digit}
വീട്ടുനമ്പർ {digit} {digit} {digit} {in_town} | house number {digit} {digit} {digit} {in_town}
{digit} {digit} {digit} {digit} {digit} | {digit} {digit} {digit} {digit} {digit}
എനിക്ക് {few} {colour} പൂക്കൾ വേണം | I want {few} {colour} flowers
ഈ {thing} {amount} രൂപയ്ക്ക് വാങ്ങി | this {thing} was bought for {amount} rupees
{with_person} ഞാൻ {to_town} വരാം | I will come {to_town} {with_person}
""",
}
