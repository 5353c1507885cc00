# SPDX-License-Identifier: MIT
NET_TEST := tests/unit/test-net.c tests/unit/net-text.c
$(eval $(call unit_test,test-net,$(NET_TEST),igrad-net,,-Itools/net))
$(eval $(call unit_test,test-net-limits,tests/unit/test-net-limits.c tests/unit/net-text.c,igrad-net,,-Itools/net))
$(eval $(call unit_test,test-nets,tests/unit/test-nets.c,igrad-net,,-Itools/net))
