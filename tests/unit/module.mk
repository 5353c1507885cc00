# SPDX-License-Identifier: MIT
include $(wildcard tests/unit/*.part.mk)
