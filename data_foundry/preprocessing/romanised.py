"""Malayalam in Latin letters (Manglish), told from English and from other romanised languages by how its words look.

The words and endings were collected for this project from a transliteration of its own Malayalam; no native speaker has
checked them. What they find and what they miss is measured in `benchmarks/text`.
"""

from __future__ import annotations

import re


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


# Words that are common in Malayalam as people type it, and that English does not have.
_MALAYALAM_WORDS = _words(
    """
    aa aaanu aan aanu aara aaraa aarenkilum aaru aarum aayi aayirunnu adipoli adutha alla allaa alle allenkil angane
    ath athaanu athaayirunnu athil athinte athinu athu avar avaru avarude avide ayi bhayankara chechi chetante
    chetta chettan cheytha cheythal cheythathu cheythu cheyyaan cheyyan cheyyunnu eda edi ee enik enikku eniku enn
    ennaal ennanu enne ennu ennum ente entha enthaa enthaanu enthanu entharu enthinaa enthinu enthokke enthoottaa
    enthoru enthu eppo eppol eppozhanu eppozhum ethra ethraa ethu ettu evidae evide evideya ezhu gambheeram ikka
    ingane inganeyaanu ini inn innale innu ippo ippol ippozhum irikku irunnu ishtam ishtamayi ishtapettilla
    ishtapettu ith ithaanu ithil ithinu ithu ivar ivide ivideya kaanaan kaanan kaananam kaanilla kaanum kalakki
    kandathe kandathu kandilla kandirikkan kandittu kandu kashtam kidu kittiyilla kittum kittunnilla kollaam
    kollilla koode kooduthal kurachu kuzhappam machane malayalikal mathi mathram mikacha
    mone moonnu mosham mothham naadu naale naalu naattil nalla nallathanu nallathu nalu nammal nammude namukku
    nannayi nannayittund nanni ninakku ningal ningalkku ningalude ninte niraasha nirthi njaan njammale njan okke
    ompathu onninum onnu onnum onpathu oru orupadu paadilla paali padam padathil pakshe paranja paranju
    parayathe parayunnathu parayunnu pattilla pattum pattumo pinne pinneyum poli polichu ponnu poojyam pottan poyi
    pwoli pwolichu rakshayumilla randu rantu roopa roopaya samayam samsaarikkanam sanam sathyam shariyaaya shariyanu
    sheri sheriyaakum sheriyaayi thakarthu thallu thanne thanu tharamo tharum ulla ullath ullathu ullu
    undaakum undaayirunnu undo undu urangi urappu valare valiya vanna vannu varum varunnu vayya veendum veettil
    venam venda vendi verum verupichu vilichu vilikkunnu vishamam
    """
)
# Words of both: loans, names and words that happen to be written alike. They tell nothing.
_EITHER_WORDS = _words(
    """
    album april bus civil cinema director exam film forum hero hit kerala kochi kollam level local malayalam malayali
    manager maximum minimum mole museum paisa problem program song stadium star super system team und until video
    """
)
# How Malayalam words end: verbs in their tenses, cases, the copula and the question.
_MALAYALAM_ENDING = re.compile(
    r"[a-z]{2,}(?:u|um|am|il|ith|ath|illa|ulla|unna|tta|kka|ya|cha|nna|nte|ude|kal|ngal|kki|chi|tti|ppi|yi|ri|thi|aan|yan|ode|"
    r"ile|aale|ane|ante|kkal|alle|ille|enkil|undo|aano|aamo|umo|allo)"
)
_MALAYALAM_SOUND = re.compile(
    r"zh[aeiou]|nj[aeiou]|ngng|ththa|aay[aiu]|yy[aeiou]|kk[aeiou]|tt[aiou][a-z]|nn[aeiou]|ll[aou]"
)
# Of these, what English does not have: one such word is enough, of the others it takes several.
_OWN_SOUND = re.compile(r"zh[aeiou]|nj[aeiou]|ngng|ththa|aay[aiu]|yy[aeiou]")
_SHAPES = 2
# English words that carry a sentence, and endings that Malayalam does not have.
_ENGLISH_WORDS = _words(
    """
    a about after again all also always am an and any are as at back be because been before being but by call can
    could day did do does done down each even every first for from get give go going good got great had has have he
    her here him his how i if in into is it its just know last like long look made make many may me more most much
    must my need new next nice no not now of off on one only or other our out over people please really said same
    see shall she should so some still such take than thank thanks that the their them then there these they thing
    this those time to today too two under up upon us use very want was watched way we well went were what when
    where which while who whole why will with without would year yes yet you your
    """
)
_ENGLISH_ENDING = re.compile(
    r"[a-z]{2,}(?:ings?|tion|sion|ness|ment|ough|ought|ould|ally|ously|ful|less|able|ible|ies|ed|ly|ck|ght|'s)"
)
# The same for the neighbours whose comments stand under the same videos, so that they are not taken for Malayalam.
_NEIGHBOUR_WORDS = _words(
    """
    adhu alukkudhu anga appadi aur bahut bakwas bhai bilkul dil dilli enakku enna ennanga epdi eppadi gaana gaya
    gaye haan hai hain hoon hua hum humko idhu illai indha irukku irukkum iruku irundhu ka kaise kar karo
     khush ki ko kya kyon kyun liye main mein mera meri mujhe naan naanga nahi nahin nee neenga 
    paattu pathi pesa raha rahe romba sabse se sema semma solla tamil tha thala thi tum tumhara 
    vaanga venum vera wala ye yeh
    """
)
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
_SHARE = 0.25


def is_romanised(text: str) -> bool:
    """Return whether the Latin words of a text are Malayalam, at least a quarter of them and more than any rival's.

    Words of both languages tell nothing. Without a word of Malayalam or a sound of its own it takes two words that look
    like Malayalam, which two English ones may ("email detail"); one alone is missed ("sugamano").
    A text of English nouns in Malayalam grammar counts as Malayalam, as its speakers would say. Expects text without
    web addresses; other scripts are not looked at.
    """
    known = shaped = sounded = english = neighbour = 0
    words = [word for word in _WORD.findall(text.lower()) if word not in _EITHER_WORDS]
    for word in words:
        if word in _NEIGHBOUR_WORDS:
            neighbour += 1
        elif word in _MALAYALAM_WORDS:
            known += 1
        elif word in _ENGLISH_WORDS or _ENGLISH_ENDING.fullmatch(word):
            english += 1
        elif len(word) > 3 and (_MALAYALAM_ENDING.fullmatch(word) or _MALAYALAM_SOUND.search(word)):
            shaped += 1
            sounded += _OWN_SOUND.search(word) is not None
    if not known and not sounded and shaped < _SHAPES:
        return False
    malayalam = known + shaped
    # At a tie with English a word that is known decides: a shape alone may be the name of a place.
    return malayalam >= max(1, _SHARE * len(words)) and (malayalam, known) > (english, 0) and malayalam > 2 * neighbour
