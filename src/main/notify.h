/* notify: tells the service manager how we are (sd_notify(3)'s protocol); nothing happens when
 * there is none. */
#ifndef MAIN_NOTIFY_H
#define MAIN_NOTIFY_H

/* "READY=1", "RELOADING=1", "STOPPING=1": more lines may follow, parted by newlines. */
void notify_send(const char *state);
/* A reload has begun: with the moment that Type=notify-reload asks for. */
void notify_reloading(void);

#endif
