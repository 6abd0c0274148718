//! The fields for text in requests and answers of all dialects: the kind of each, and those that are not checked. A
//! field that is not in the table is checked as text, so new fields cannot slip through. The end-to-end tests walk the
//! types of the providers' own SDKs, and fail for a field that is not in the table.
//!
//! Sources: the types of `openai`, `anthropic` and `google-genai` on PyPI; Ollama's `docs/api.md`; Cohere's and Jina's
//! references for rerank.

use std::sync::LazyLock;

use hashbrown::HashMap;

/// The kind of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Spoken content: a text, or blocks and messages with texts. In a stream it may come in pieces.
    Text,
    /// A separate text, which may come in pieces. Unknown fields are of this kind.
    Apart,
    /// A complete text.
    Whole,
    /// The transcript of speech, beside the text.
    Aloud,
    /// Why the model does not answer.
    Refusal,
    /// The model's reasoning before the text.
    Reasoning,
    /// The model's action, as a function call.
    Called,
    /// The result of a call.
    Result,
    /// A list of calls.
    Calls,
    /// A call's arguments: JSON in a string, or as an object.
    Arguments,
    /// A text, or arguments as JSON.
    Input,
    /// JSON of any shape: each string in it is a text, and so are unusual field names and long numbers.
    Free,
    /// A JSON schema: the same, except for its keywords.
    Schema,
    /// Data that describes the request: definitions of tools, answer formats, a schema's lists of its fields. It is the
    /// application's.
    /// application's.
    Described,
    /// A name with the letters that providers allow in function names: placeholders in it have no brackets.
    Name,
    /// The source of a document, or the document.
    Source,
    /// The texts repeated token by token.
    Echo,
    /// Not checked: an id, a word of an enumeration, a date. Values with other characters are checked.
    Word,
    /// Not checked: Base64. Values with other characters are checked.
    Data,
    /// Not checked: content that a provider has encrypted or signed, and needs unchanged.
    Signed,
    /// Not checked: addresses that a provider fetches, which would fail if changed. Values that are not addresses are
    /// checked.
    Link,
    /// Not checked: credentials and headers for a tool's server.
    Credential,
    /// Not checked: numbers and words about usage.
    Count,
}

impl Field {
    /// Whether checks read it.
    pub fn is_checked(self) -> bool {
        use Field::{Count, Credential, Data, Link, Signed, Word};
        !matches!(self, Word | Data | Signed | Link | Credential | Count)
    }
}

/// The kind of each known field. Names are in lower case without underscores, as [`super::fold`] returns them.
#[rustfmt::skip]
pub const FIELDS: &[(Field, &str)] = &[
    (Field::Text, "code content contents custom function messages output outputs parts text"),
    (
        Field::Apart,
        "command commands delta diff document partialargs result revisedprompt stderr stdout stringvalue",
    ),
    (
        Field::Whole,
        "adaptationphrases alloweddomains annotation annotations blockeddomains blockreasonmessage citation citations \
         citedtext city context country customvocabulary definition description detailedexplanation displayname \
         documenttitle domain enum error errormessage explanation filename finishmessage flagcontenturi googlemapsuri \
         imagesearchqueries imageuri instruct instruction instructions jsonpath key keys license lines logs message \
         path pattern photouri prediction prompt promptcachekey queries query reason region \
         relativepublishtimedescription renderedcontent results retrievalqueries retrievedurl review safetyidentifier \
         serverdescription sourcetext sourceuri speaker speakerlabel stop stopsequence stopsequences style suffix \
         system systeminstruction template title token tokens uri url user userid value values websearchqueries word \
         workingdirectory",
    ),
    (Field::Aloud, "audio transcript"),
    (Field::Refusal, "refusal"),
    (Field::Reasoning, "reasoning reasoningcontent reasoningdetails reasoningtext summary thinking"),
    (Field::Called, "executablecode functioncall servertoolcall toolcall"),
    (Field::Result, "codeexecutionresult functionresponse toolresponse"),
    (Field::Calls, "toolcalls"),
    (Field::Arguments, "args arguments partialjson"),
    (Field::Input, "input"),
    (
        Field::Free,
        "attributes chattemplatekwargs custommetadata default details documents env example examples filters \
         inputexamples labels metadata options parsed partmetadata response tooluseinput trigger variables",
    ),
    (
        Field::Schema,
        "$defs additionalproperties defs inputschema items jsonschema outputschema parameters parametersjsonschema \
         properties responsejsonschema responseschema schema",
    ),
    (
        Field::Described,
        "format functiondeclarations functions generationconfig grammar guidedchoice guidedgrammar guidedjson \
         guidedregex propertyordering required responseformat structuredoutputs tool toolchoice toolconfig tools",
    ),
    (
        Field::Name,
        "allowedfunctionnames allowedtools cleartoolinputs excludetools mcpservername name namespace serverlabel \
         servername toolname toolnames toolsetname",
    ),
    (Field::Source, "source"),
    (Field::Echo, "logprobs logprobsresult toplogprobs"),
    (
        Field::Word,
        "action allowedcallers apiversion approvalrequestid aspectratio background baseurlresourcescope betas billto \
         blockreason button cachecontrol cachedcontent callerid callid categories category categoryappliedinputtypes \
         chunkid clearat comparisonresponseid complexity connectorid container containerid contentlayers \
         contextcompression conversation created createdat createdby cyber detail display documentname donereason \
         downloadid duration effort embeddingtypes encodedpolyline encodingformat endoffset environment errorcode \
         errortype execution expiresat fallbacks featureselectionpreference fileid fileids filesearchstore filetype \
         fingerprint finishreason generatesummary id imagesize include index inferencegeo inputfidelity inputtype \
         itemid keep keepalive language languagecode languagecodes level mediaid mediaprocessing mediaresolution \
         mediatype memorylimit method mimetype modalities modality mode model modelname modelroutingpreference models \
         modelstage modelversion moderation moderationstage nativefinishreason nullvalue obfuscation object outcome \
         outputformat outputmimetype oversizedimage overwrittenthreshold pageage param persongeneration phase placeid \
         prefixmismatchbehavior previousmessageid previousresponseid probability prominentpeople promptcacheretention \
         prompttemplatename quality ranker reasoningeffort recommendedmodel ref removetoredeem requestid \
         requireapproval responseid responseinclusion responsemimetype responsemodalities responsetemplatename \
         retrievedat returndocuments reviewid reviewtarget role scheduling searchcontenttypes searchcontextsize \
         service servicetier sessionid severity size skillid sourceid speechconfig speed startoffset state status \
         stopreason streamformat syntax systemfingerprint tabid think thinkinglevel threshold timezone toolcallid \
         toolid tooltype tooluseid traffictype truncate truncation ttl tunnelid type urlretrievalstatus userprofileid \
         vectorstoreids verbosity version videometadata visiblecells voice voicename workspaceid",
    ),
    (
        Field::Data,
        "b64json bytes consentaudio data embedding embeddings filedata image imagebytes imagedata images \
         partialimageb64 reasoningopaque sdkblob sha256hash videobytes voicesampleaudio",
    ),
    (
        Field::Signed,
        "continuationtoken encryptedcontent encryptedindex encryptedstdout fallbackcredittoken \
         googlemapswidgetcontexttoken signature thoughtsignature",
    ),
    (
        Field::Link,
        "audiourl documenturl downloaduri fileuri fileurl gcsuri imageurl inputreference outputuriprefix serverurl \
         videourl",
    ),
    (Field::Credential, "apikey authconfig authorization authorizationtoken domainsecrets headers"),
    (Field::Count, "promptevalcount servertooluse timings usage usagemetadata"),
];

static INDEX: LazyLock<HashMap<&'static str, Field>> = LazyLock::new(|| {
    let row = |(field, names): &(Field, &'static str)| {
        let field = *field;
        names.split_whitespace().map(move |name| (name, field))
    };
    FIELDS.iter().flat_map(row).collect()
});

/// The kind of a field with this name, from [`FIELDS`]; `None` if it is unknown.
///
/// ```
/// use sluice::guard::texts::{field, Field};
///
/// assert_eq!(field("citedtext"), Some(Field::Whole));
/// assert_eq!(field("toolcallid"), Some(Field::Word));
/// assert_eq!(field("brandnew"), None);
/// ```
pub fn field(name: &str) -> Option<Field> {
    INDEX.get(name).copied()
}
