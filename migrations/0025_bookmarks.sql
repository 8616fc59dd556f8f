-- A server that comes back without its last messages gives their sequences to others. What a projection has folded
-- last is told apart by its event's id: where the tape has another event there, or ends before it, the projection is
-- built anew. NULL: no message folded yet, the message is no event, or it was folded before this column was there.
ALTER TABLE projection.checkpoints ADD COLUMN event_id text;
