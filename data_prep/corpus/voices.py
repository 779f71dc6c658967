"""Which espeak-ng voices are for training, and which are reserved for test speakers.

Only espeak-ng's own formant voices and their variants; mbrola voices have their own licences. No speaker has a whisper,
robot or other effect voice (the encoder is trained on some of them).
"""

ACCENTS = ("en-us", "en", "en-gb-x-rp", "en-gb-scotland", "en-us-nyc", "en-029", "en-gb-x-gbclan")
TRAIN_FEMALE = ("f1", "f2", "f3", "Alicia", "Annie", "belinda", "steph", "aunty", "steph2",
                "steph3", "Nguyen")
TRAIN_MALE = ("m1", "m2", "m3", "m5", "m7", "adam", "Alex", "Andy", "Gene", "Hugo", "Jacky", "Lee", "Marco", "Mario",
              "Michael", "Reed", "benjamin", "boris", "ed", "gustave", "john", "max", "norbert", "pablo", "robert",
              "Henrique", "antonio", "marcelo", "michel", "sandro", "paul", "edward", "mike2", "iven3", "kaukovalta", "rob")
# test speakers: no encoder, aligner or model is ever trained on these voices
TEST_FEMALE = ("f4", "f5", "Andrea", "linda", "shelby", "anika")
TEST_MALE = ("m4", "m6", "m8", "Mike", "Diogo", "david", "Denis", "travis", "quincy", "miguel")
# for the encoder's training only, for variety
EFFECTS = ("whisper", "whisperf", "croak", "klatt", "klatt2", "klatt4", "klatt6", "Storm", "iven", "victor", "caleb")
# languages in which the encoder's training has spoken numbers, since digits need no vocabulary of ours
LANGUAGES = ("de", "fr", "es", "it", "pl", "ru", "sv", "tr", "pt", "nl", "fi", "hu", "sw", "id", "el", "cs", "ro", "da")
