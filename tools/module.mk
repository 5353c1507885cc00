# SPDX-License-Identifier: MIT
$(eval $(call program,igrad-info,tools/igrad-info.c,igrad igrad-core,))
