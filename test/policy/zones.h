/* zones: rules of some, as the system's zoneinfo has them. */
#ifndef TEST_POLICY_ZONES_H
#define TEST_POLICY_ZONES_H

#define RULE_OSLO "CET-1CEST,M3.5.0,M10.5.0/3"
#define RULE_LONDON "GMT0BST,M3.5.0/1,M10.5.0"
#define RULE_HELSINKI "EET-2EEST,M3.5.0/3,M10.5.0/4"
#define RULE_NEW_YORK "EST5EDT,M3.2.0,M11.1.0"
#define RULE_AUCKLAND "NZST-12NZDT,M9.5.0,M4.1.0/3"
#define RULE_LORD_HOWE "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"

#endif
