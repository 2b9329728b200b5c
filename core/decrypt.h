/* decrypt.h -- `latchkey decrypt`: opens data by hand, says why it does not
 * open.  For operators: it tells what a server must never tell a caller. */
#pragma once

/* argv[0] is "decrypt"; the rest is
 *   --key K|- --iv IV [--appid A] [DATA|-]
 * The key may come from LATCHKEY_KEY, or with "-" from the first line of
 * standard input; DATA from standard input where it is absent or "-".
 * The opened text goes to standard output, one line about a refusal to
 * standard error.  Returns the exit status, 0 or 1.  Main thread. */
int decrypt_main(int argc, char **argv);
