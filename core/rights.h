/* rights.h -- what `user` will own once the rights of root are dropped. */
#pragma once
#include "conf/conf.h"

/* The folder that path's last part lies in; "." for none. */
void rights_folder(const char *path, char out[4096]);

/* Whether it lies below the prefix, or is of the store. */
bool rights_is_ours(const struct conf *conf, const char *path);

/* Whether a start as root gives path to `user`: what root owns of it. */
bool rights_passes(const struct conf *conf, const char *path);

/* Gives these away, and makes the folders of pid file and store; for root with
 * a `user`, otherwise nothing. */
enum err rights_hand_over(const struct conf *conf);
