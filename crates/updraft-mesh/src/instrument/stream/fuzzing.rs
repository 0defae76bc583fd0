//! Conversations as the fuzz targets see them.

use super::super::Direction;
use super::Protocol;
use super::conversation::Conversation;

/// What is seen of a conversation: a line for each message, and what is wrong.
pub type Seen = (Vec<String>, Option<String>);

/// Hears what the client (`true`) and the server said in turn; each turn comes at once, or
/// byte by byte.
#[must_use]
pub fn converse(protocol: Protocol, turns: &[(bool, &[u8])], at_once: bool) -> Seen {
    let mut conversation = Conversation::new(protocol);
    let (mut seen, mut waiting) = (Vec::new(), [Vec::new(), Vec::new()]);
    for (client, bytes) in turns {
        let size = if at_once { bytes.len().max(1) } else { 1 };
        let here = usize::from(!client);
        for piece in bytes.chunks(size) {
            waiting[here].extend_from_slice(piece);
            if let Err(wrong) = hear(&mut conversation, here, &mut waiting[here], &mut seen) {
                return (seen, Some(wrong));
            }
        }
        // What waited for the other side may go on now.
        for side in [1 - here, here, 1 - here] {
            if let Err(wrong) = hear(&mut conversation, side, &mut waiting[side], &mut seen) {
                return (seen, Some(wrong));
            }
        }
    }
    (seen, None)
}

fn hear(
    conversation: &mut Conversation,
    side: usize,
    bytes: &mut Vec<u8>,
    seen: &mut Vec<String>,
) -> Result<(), String> {
    let direction = if side == 0 { Direction::Request } else { Direction::Response };
    loop {
        let opaque = conversation.turned_opaque();
        let piece = conversation.step(direction, bytes).map_err(|wrong| wrong.to_string())?;
        let Some(piece) = piece else { break };
        assert!((1..=bytes.len()).contains(&piece.length));
        // Where messages are told apart no more, they are as long as what was read.
        if let Some(begin) = piece.begins
            && !opaque
            && !conversation.turned_opaque()
        {
            seen.push(format!("{begin:?}"));
        }
        bytes.drain(..piece.length);
    }
    assert!(bytes.len() < 600 || conversation.waits(direction), "{} bytes wait", bytes.len());
    Ok(())
}
