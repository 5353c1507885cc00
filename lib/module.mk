# SPDX-License-Identifier: MIT
$(eval $(call library,igrad,$(wildcard lib/*.c),libdrm zlib json-c,-Iqemu-device/core))
