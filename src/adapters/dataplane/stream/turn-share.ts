// Runs in: worker

/** What one kind of work may take of one turn of the loop, in ms: closing a connection takes some 50 us. */
export const SHARE_OF_TURN_MS = 2;
