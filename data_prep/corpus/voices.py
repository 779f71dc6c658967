"""Which espeak-ng voices train, and which are kept for speakers that nothing here is ever trained on.

espeak-ng's own formant voices and their variants only; mbrola voices have licences of their own. Whispers, robots and
other effects are left out of the speakers (the encoder hears some of them).
"""

ACCENTS = ("en-us", "en", "en-gb-x-rp", "en-gb-scotland", "en-us-nyc", "en-029", "en-gb-x-gbclan")
TRAIN_FEMALE = ("f1", "f2", "f3", "Alicia", "Annie", "belinda", "steph", "aunty", "steph2",
                "steph3", "Nguyen")
TRAIN_MALE = ("m1", "m2", "m3", "m5", "m7", "adam", "Alex", "Andy", "Gene", "Hugo", "Jacky", "Lee", "Marco", "Mario",
              "Michael", "Reed", "benjamin", "boris", "ed", "gustave", "john", "max", "norbert", "pablo", "robert",
              "Henrique", "antonio", "marcelo", "michel", "sandro", "paul", "edward", "mike2", "iven3", "kaukovalta", "rob")
# unseen speakers: in no training of an encoder, an aligner or a model
TEST_FEMALE = ("f4", "f5", "Andrea", "linda", "shelby", "anika")
TEST_MALE = ("m4", "m6", "m8", "Mike", "Diogo", "david", "Denis", "travis", "quincy", "miguel")
# heard by the encoder alone, for variety
EFFECTS = ("whisper", "whisperf", "croak", "klatt", "klatt2", "klatt4", "klatt6", "Storm", "iven", "victor", "caleb")
# languages whose numbers the encoder hears, since digits need no vocabulary of ours
LANGUAGES = ("de", "fr", "es", "it", "pl", "ru", "sv", "tr", "pt", "nl", "fi", "hu", "sw", "id", "el", "cs", "ro", "da")
