# SPDX-License-Identifier: MIT
# Built with everything else, so that what the documentation shows keeps working.
$(eval $(call program,examples/layer,examples/layer.c,igrad igrad-core,,-Wno-missing-field-initializers))
