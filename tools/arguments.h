/* SPDX-License-Identifier: MIT */
/* What command lines of several programs have in common: messages, and values of options. */
#ifndef IGRAD_ARGUMENTS_H
#define IGRAD_ARGUMENTS_H

#include <stdint.h>

enum { EXIT_USAGE = 2 };

/**
 * arguments_begin - for messages; there is one command line in a program
 * @who: complains
 * @program: whose --help helps
 */
void arguments_begin(const char *who, const char *program);

/** wrong - say what is wrong with the command line, and exit */
__attribute__((format(printf, 1, 2), noreturn)) void wrong(const char *format, ...);

/** whole_number - the value of an option, in @base as strtoull() has it */
uint64_t whole_number(const char *option, const char *text, int base, uint64_t low, uint64_t high);

/** real - the value of an option that is not negative */
float real(const char *option, const char *text);

#endif /* IGRAD_ARGUMENTS_H */
