#ifndef EDGEPROXY_ENDING_H
#define EDGEPROXY_ENDING_H

#include <stdbool.h>

#include "engine.h"

/* Closes both sides of an open connection: an end to a peer that got all there was, and what the kernel has is still
 * sent; a reset to one for which bytes are left, or that has the end and did not end itself. */
void connection_finish(engine *e, connection *c, enum close_reason reason);
/* Resets both sides. */
void connection_reset(engine *e, connection *c, enum close_reason reason);
/* Resets both sides, because that one failed. */
void connection_failed(engine *e, connection *c, int side);
/* Finishes a connection whose time is over; one of which a side has failed is reset. */
void connection_expire(engine *e, connection *c, enum close_reason reason);
/* Turns a client away that is neither dialling nor open. */
void connection_reject(engine *e, connection *c, bool reset);

#endif
