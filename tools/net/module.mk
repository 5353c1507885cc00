# SPDX-License-Identifier: MIT
$(eval $(call library,igrad-net,$(wildcard tools/net/*.c)))
