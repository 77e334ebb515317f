"""`shared.data.latin_code_pages`: the letters of languages decide between the code pages of Latin scripts."""

import pytest

from shared.data.encodings import detect_code_page

SENTENCES = {
    "cp1252": [
        "L'hôtel était très sale, nous avons été déçus par la réception et le petit déjeuner.",
        "Das Frühstück war schön, aber die Größe des Zimmers enttäuschte uns über alle Maßen.",
        "La habitación estaba sucia y el baño también; ¡no volveré jamás!",
        "O serviço não foi bom, mas a refeição estava ótima e a decoração também.",
        "La qualità è buona, però il servizio è così lento che non tornerò più.",
        "Hotellet låg nära stranden och frukosten var väldigt bra, vi åker gärna dit på nästa höst.",
        "Værelset var småt, men på gulvet lå der støv og køkkenet så ikke godt ud.",
        "Það var mjög góður matur en þjónustan var hæg og íbúðin óhrein.",
        "The café’s jalapeño soup was naïve – “fancy” for Zürich, but my fiancé's résumé cost 5 €.",
        "Only one price: 5 € and nothing else",
    ],
    "cp1250": [
        "Pokój był brudny, a obsługa nie mówiła po angielsku; żałuję, że tam pojechałem, śniadanie złe.",
        "Příšerné jídlo, špinavý pokoj a žádná teplá voda, už nikdy více děkuji.",
        "A szoba kicsi volt, de a reggeli bőséges és a személyzet gyönyörűen beszélt; időben jött a fűtő.",
        "Sobe so bile čiste, zajtrk pa zelo okusen, vendar žal še vedno nič posebnega.",
        "Izba bola špinavá, ale raňajky výborné a personál veľmi milý, ďakujeme.",
    ],
    "iso8859_2": [
        "Pokój był brudny, a obsługa nie mówiła po angielsku; żałuję, że tam pojechałem, śniadanie złe, gorąco.",
        "Příšerné jídlo, špinavý pokoj a žádná teplá voda, už nikdy více.",
    ],
    "cp1254": ["Oda çok kötüydü, kahvaltı soğuk, personel ilgisiz ve şikayet ettik ama kimse değiştirmedi."],
    "cp1257": [
        "Viešbutis buvo labai nešvarus, o aptarnavimas šlykštus, gaila, kad ten važiavome ąžuolų gatvėje.",
        "Istaba bija ļoti netīra, bet brokastis garšīgas, šķiet, ka vairs nebrauksim uz šo viesnīcu.",
    ],
    "mac_roman": [
        "L'hôtel était très sale, nous avons été déçus par la réception et le petit déjeuner.",
        "Das Frühstück war schön, aber die Größe des Zimmers enttäuschte uns über alle Maßen.",
    ],
    "cp850": ["L'hôtel était très sale, nous avons été déçus par la réception et le petit déjeuner."],
    "cp852": ["Příšerné jídlo, špinavý pokoj a žádná teplá voda, už nikdy více děkuji."],
}


@pytest.mark.parametrize(
    ("encoding", "sentence"), [(page, text) for page, texts in SENTENCES.items() for text in texts]
)
def test_the_letters_of_a_language_show_the_code_page(encoding, sentence):
    code_page = detect_code_page(sentence.encode(encoding))
    assert code_page is not None
    assert sentence.encode(encoding).decode(code_page.name) == sentence


def test_a_file_of_two_languages_has_the_code_page_of_both():
    text = "\n".join(SENTENCES["cp1252"][:2])
    assert detect_code_page(text.encode("cp1252")).name == "cp1252"
