/* tls.h -- the certificates of listeners.  Loader only. */
#pragma once
#include "conf/scope.h"

/* When all servers are read: loads what those behind `listen ... ssl` name. */
enum err tls_load(struct conf *conf);
