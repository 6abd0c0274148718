//! The preparation of a target's request.

use crate::header_plan::TargetRequest;
use crate::parsed_request::ParsedRequest;
use crate::rewrite::BodyRewrite;
use crate::routing::Route;
use crate::translate::Pair;

/// What to do with a request's body.
#[derive(Clone, Debug)]
pub enum Prepared {
    /// It is sent with another model's name, or unchanged.
    Rewrite(BodyRewrite),
    /// It is translated once it is complete; its length is known then.
    Translate(Pair),
}

/// What a target's request must look like, and the way to its body.
pub(super) fn target_request<'a>(
    route: &'a Route,
    place: (usize, usize),
    parsed: &'a ParsedRequest,
) -> Option<(Prepared, TargetRequest<'a>)> {
    let upstream = route.upstream_at(place)?;
    let model = route.model_name(place, &parsed.model)?;
    let stream = parsed.stream;
    if let Some(pair) = route.pair_at(place) {
        let request =
            TargetRequest { upstream, endpoint: pair.target(stream), pair: Some(pair), stream, model, length: None };
        return Some((Prepared::Translate(pair), request));
    }
    let body = BodyRewrite::plan(parsed, model, upstream.include_usage);
    let length = Some(body.length()).filter(|length| *length > 0 || !parsed.by_id);
    Some((
        Prepared::Rewrite(body),
        TargetRequest { upstream, endpoint: route.endpoint(), pair: None, stream, model, length },
    ))
}
