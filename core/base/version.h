/* version.h -- who we are. */
#pragma once

#define VERSION "0.1.0"

/* The nginx that OpenResty scripts believe to run on: its API, not its code. */
#define VERSION_NGINX "1.22.1"
#define VERSION_NGINX_NUMBER 1022001
#define VERSION_NGX_LUA_NUMBER 10023
