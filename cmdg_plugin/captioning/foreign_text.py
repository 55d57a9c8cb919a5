"""Finding what is not a caption in a captioner's answer: refusals, chat templates, instructions, code, debris."""

import re
import unicodedata

_IMAGE = r'(?:image|picture|photo(?:graph)?)'
_SOMEBODY = r'(?:person|people|humans?|individuals?|anyone|anybody|pedestrians?)'
_SEEN = r'(?:(?:visible|clear|clearly|identifiable|discernible|actual|recognizable|single|real|any|a|an|the)\s+)*'
_NOTHING = r'(?:blank|empty|missing|corrupted|unavailable)'
_ONE_COLOR = r'(?:white|black|gr[ae]y|dark)'
_WHOLLY = r'(?:completely|entirely|totally|all|just|solid|purely?)'
_IS = r'(?:is|was|were|has\s+been|could|appears|seems|looks)\s+(?:to\s+be\s+)?'
_HELP = r'(?:provide|assist|help|comply|fulfil|generate)'

# These three are matched on lower case, and begin with plain letters, as that is ten times as fast.
_REFUSED_AT_START = re.compile(
    r'sorry\b|my apologies|unfortunately|no person\b|too\s+\w+\s+to\b|none\b|not applicable\b|error\s*:|insufficient\b'
    r'|no\s+visible\s+details?\b|nothing\s+(?:is|can\s+be|to)\b|rate\s+limit\b|your\s+request\b'
    # The question, as models echo it.
    r'|(?:please\s+)?(?:in\s+(?:one|a\s+single)\s+sentence,?\s+)?describe\b|(?:what|which|who|how|could|can|would|is|are|does)\b[^.!]*\?\W*$'
    r'|it(?:\W?s|\s+is)\s+(?:too\s+\w+|not\s+possible|impossible|difficult|hard)\s+to\b'
)
_REFUSED = re.compile(
    r'\b(?:i(?:\W?m|\s+am)\s+(?:(?:very|so|really)\s+)?(?:sorry|unable|not\s+able|afraid)\b'
    r'|i\s+(?:can\s?not|can\W?t|could\s?n\W?t|could\s+not|do\s+not|don\W?t|will\s+not|won\W?t|must\s+decline)\b'
    r'|i\s+apologi[sz]e\b|we\s+are\s+(?:sorry|unable)\b|as\s+an\s+ai\b|language\s+model\b'
    rf'|there\s+(?:is|are|appears\s+to\s+be)\s+no\s+{_SEEN}(?:person|human|individual|{_IMAGE})\b'
    r'|d(?:oes|o|id)(?:\s+not|\s?n\W?t)\s+(?:(?:appear|seem)\s+to\s+)?(?:clearly\s+|actually\s+)?'
    rf'(?:show|contain|depict|include|feature|have|display|reveal)\s+{_SEEN}{_SOMEBODY}\b'
    rf'|no\s+{_SEEN}(?:person|human|individual|pedestrian)\s+(?:is|can\s+be|in\s+the\s+{_IMAGE}|visible|present)\b'
    r'|too\s+[\w -]{1,40}?\s+to\s+(?:be\s+)?(?:describe|provide|give|caption|answer|analy[sz]e)'
    r'|blank\s+(?:and|or)\s+(?:white|black)\b|white\s+and\s+blank\b|black\s+and\s+blank\b'
    rf'|blank\s+{_IMAGE}\b|no\s+{_IMAGE}\s+{_IS}(?:provided|attached|uploaded|given|included)\b|no\s+{_IMAGE}\s+to\b'
    rf'|(?:third|part|half|region|section)(?:\s+of\s+(?:the|this)\s+(?:{_IMAGE}|person))?\s+(?:is|are)\s+not\s+visible\b'
    r'|no\s+(?:further\s+)?details\s+(?:is|are|can\s+be)\b|nothing\s+(?:is\s+)?visible\b'
    r'|(?:description|caption)\s+is\s+not\s+available\b|safety\s+system\b|usage\s+polic|exceeded\s+your\b|timed\s+out\b'
    r'|please\s+(?:provide|upload|share|attach|send|try)\b'
    r'|can\s?not\s+{_HELP}|can\W?t\s+{_HELP}|unable\s+to\s+{_HELP})'.replace('{_HELP}', _HELP)
)
_REFUSED_IMAGE = re.compile(
    rf'\b(?:{_WHOLLY}(?:[\s-]+{_ONE_COLOR}|\s+{_NOTHING})\s+{_IMAGE}\b'
    rf'|(?:{_IMAGE}|quality|resolution)\s+{_IS}(?:(?:\w+\s+)?too\s+[\w -]{{1,40}}?\s+to\b'
    rf'|(?:{_WHOLLY}\s+)?(?:an?\s+)?{_NOTHING}\b|{_WHOLLY}\s+{_ONE_COLOR}\b'
    r'|not\s+(?:provided|attached|available|uploaded|be\s+(?:loaded|displayed))\b))'
)
_ABOUT_THE_IMAGE = ('image', 'picture', 'photo', 'quality', 'resolution')
_QUOTED = re.compile('"[^"]{0,80}"|\u201c[^\u201d]{0,80}\u201d|(?<!\\w)\'[^\']{0,80}\'(?!\\w)')

_INSTRUCTION = re.compile(
    r'\b(?:ignor\w*{_}|disregard\w*{_}|forget\w*{_}|overrid\w*{_}|bypass\w*{_}'
    r'|ignore\s+{above}|disregard\s+{above}|forget\s+{above}|previous\s+{told}|prior\s+{told}|above\s+{told}'
    r'|earlier\s+{told}|initial\s+{told}|new\s+{told}|hidden\s+{told}|your\s+{told}|your\s+guidelines?\b'
    r'|system\s+(?:prompt|message)\b|developer\s+(?:prompt|message|mode)\b|you\s+are\s+(?:now|no\s+longer|a\s+helpful)\b'
    r'|the\s+user\s+(?:wants?|asks?|asked|is\s+asking|needs|requested|provided)\b|let\s+me\s+(?:think|see|look|describe|analyze)\b'
    r'|step\s+by\s+step\b|helpful\s+assistant\b|pretend\s+(?:to\s+be|you)\b|jailbreak|do\s+anything\s+now\b|api[\s_-]?keys?\b)'.replace(
        '{_}', r'\s+(?:\w+\W+){0,5}?(?:instruction|prompt|guideline|directive|previous|prior\b|everything)'
    )
    .replace('{above}', r'(?:all\s+)?(?:the\s+)?(?:above|earlier)\b')
    .replace('{told}', r'(?:instruction|prompt|directive)s?\b')
)
_CODE = re.compile(
    r'</?\s*(?:script|style|iframe|object|embed|svg|form|input|button|link|meta|head|html|body|textarea|template)\b'
    r'|<!doctype|<\?(?:php|xml)|onerror\s*=|onload\s*=|onclick\s*=|onmouseover\s*=|javascript\s*:|data:\w{1,20}/\w{1,20}[;,]'
    r'|alert\(|eval\(|fetch\(|exec\(|atob\(|console\.\w{1,20}\(|document\.\w{1,20}\(|window\.\w{1,20}\('
    r'|document\.(?:cookie|write|location|body)\b|function\s*\w*\(\)|rm\s+-rf\b|drop\s+table\b|union\s+select\b'
)

# Markers of ChatML, Llama 2 to 4, Gemma, Mistral, DeepSeek and harmony, and words of tokenizers.
_MARKER = re.compile(
    r'<[|\uff5c][^<>\n]{0,50}[|\uff5c]>|\[\|[^\[\]\n]{0,30}\|\]|</?(?:start|end)_of_(?:turn|image)>|<<\s*/?SYS\s*>>'
    r'|\[\s*/?(?:INST|SYSTEM_PROMPT|TOOL_CALLS|TOOL_RESULTS|AVAILABLE_TOOLS|IMG|IMG_BREAK|IMG_END)\s*\]'
    r'|</?(?:s|unk|pad|bos|eos|mask|image|img|bot|human|user|assistant|system|tool_call|tool_response|function_call)>'
    r'|\[(?:UNK|PAD|CLS|SEP|MASK|BOS|EOS|gMASK|END|STOP)\]'
)
_SPEAKER = r'(?:Human|HUMAN|User|USER|Assistant|ASSISTANT|System|SYSTEM|Chatbot|Bot|AI|GPT\w{0,9}|Question)'
_TURN = re.compile(
    rf'(?:^|[\s"\'.!?*#\]>)]){_SPEAKER}\s*(?:\*\*)?\s*:|#\s*(?:Instruction|Response|Input)\s*:'
    r'|^\s*(?:human|user|assistant|system|bot|ai|model|question)\s*:|^\s*(?:system|user|assistant|model|human)\s*$',
    re.MULTILINE,
)
_ENDS = re.compile(
    r'(?:\s*(?:<[|\uff5c](?:im_end|endoftext|eot_id|end_of_text|eom_id|end|eot|return|end\u2581of\u2581sentence)[|\uff5c]>'
    r'|</s>|<eos>|<end_of_turn>))+\s*\Z'
)
_START = re.compile(
    r'\A\s*(?:<s>|<bos>|<\|begin_of_text\|>)?\s*(?:(?:<\|im_start\|>|<start_of_turn>)\s*(?:assistant|model)\s*\n?'
    r'|<\|assistant\|>|<\|start_header_id\|>\s*assistant\s*<\|end_header_id\|>|assistant\s*:|assistant\s*\n)?\s*',
    re.IGNORECASE,
)

_DEBRIS = re.compile(
    # Calls, coordinates, words as a tokenizer spells them, and UTF-8 read as another encoding.
    r'\.\w+\(|\(\s*\d+\s*,\s*\d+\s*\)|[\u0120\u010a\u2581]|[\u00c3\u00c2][\u0080-\u00bf]|\u00e2\u20ac'
    # Cells that a spreadsheet computes, letters of an address, a list on one line, and labels.
    r'|^[=@+$]|%[2-7][0-9A-F]\w|(?<![Nn]o)[.!?]\s+\d{1,2}[.)]\s+[A-Z]'
    r'|(?:^|[.!?]\s+)(?:Thought|Answer|Final\s+answer|Caption(?:\s+\d+)?|Option\s+[A-D\d]|Note|Observation|Action'
    r'|Confidence|Score)\s*:'
    r'|[<>{}|\\^~`_\ufffd]|&#?\w+;|https?://|www\.|\*\*|^\s*\[|\]\W*$|\[(?![a-z][a-z ]{0,30}\])'
)
# Names of programs, as addCriterion; iPhone and YouTube stay.
_PROGRAM_NAME = re.compile(r'\b[a-z]{2,}[A-Z][a-z]{2}')
_CAPITAL_INSIDE = re.compile(r'[a-z][A-Z]')
_RUN = re.compile(r'([^\w\s])(?:\s*\1){3}|[^\w\s]{6}|(\D)\2{4}|(\d)\3{7}')
_LONGEST_WORD = 40


def strip_template(answer: str) -> str:
    """Remove what opens the model's own turn and what ends it."""
    return _START.sub('', _ENDS.sub('', answer) if '<' in answer else answer)


def has_turns(answer: str) -> bool:
    """Whether an answer that still has its lines and tags holds turns of a chat, or words of a tokenizer."""
    folded = _fold(answer)
    if not any(sign in folded for sign in '<[:\n'):
        return False
    # `"User: Admin"` on a shirt is nobody's turn.
    turns = any(_TURN.search(_QUOTED.sub('""', text)) for text in {answer, folded})
    return turns or any(_MARKER.search(text) for text in {answer, folded})


def has_code(answer: str) -> bool:
    """Whether an answer holds scripts or elements of a page that do more than format."""
    return bool(_CODE.search(_fold(answer).lower()))


def has_instructions(text: str) -> bool:
    """Whether one line of text tells a model what to do, as texts that attack models do."""
    return bool(_INSTRUCTION.search(_fold(text).lower()))


def is_refusal(text: str) -> bool:
    """Whether one line of text says that there is nothing to describe, or that the model will not.

    Words in quotation marks stand on clothes and signs, so they do not count as a refusal.
    """
    folded = _QUOTED.sub('""', _fold(text).lower())
    return bool(
        _REFUSED_AT_START.match(folded)
        or _REFUSED.search(folded)
        or (any(word in folded for word in _ABOUT_THE_IMAGE) and _REFUSED_IMAGE.search(folded))
    )


def find_debris(text: str) -> str | None:
    """Name what is left of markup (`markup`) or of a model in a loop (`repeated`) in one line of text, or None."""
    if _RUN.search(text):
        return 'repeated'
    if _DEBRIS.search(text) or (_CAPITAL_INSIDE.search(text) and _PROGRAM_NAME.search(text)):
        return 'markup'
    return 'markup' if max(map(len, text.split()), default=0) > _LONGEST_WORD else None


def _fold(text: str) -> str:
    """Letters in disguise, such as full-width or bold mathematical ones, as what they look like."""
    return text if text.isascii() else unicodedata.normalize('NFKC', text)
