/* SPDX-License-Identifier: MIT */
/* Networks from texts, and what they say of texts that are none. */
#ifndef NET_TEXT_H
#define NET_TEXT_H

#include "net.h"

/** net_from - a network from a text that has to be good; for net_free() */
struct net *net_from(const char *text);

/** net_layer_of - the layer of that name, which has to be there */
const struct net_layer *net_layer_of(const struct net *net, const char *name);

/** assert_shape - "3 x 4 x 5" */
void assert_shape(const struct net *net, const char *name, const char *shape);

/** assert_refused - with a message that is "t.net:" and then begins with @place, and has @wanted */
void assert_refused(const char *text, const char *place, const char *wanted);

#endif /* NET_TEXT_H */
