/* attr: the compiler attributes that the house uses, under their meaning. */
#ifndef BASE_ATTR_H
#define BASE_ATTR_H

#define MUST_USE __attribute__((warn_unused_result))
#define NONNULL(...) __attribute__((nonnull(__VA_ARGS__)))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define NORETURN __attribute__((noreturn))
#define UNUSED __attribute__((unused))
/* For what is only fast when its arguments stay in registers. */
#define ALWAYS_INLINE inline __attribute__((always_inline))
/* Runs fn(&variable) when the variable leaves its scope. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* An assertion that stays in release builds: a failure is a bug of ours, and
 * the process ends before it can write anything that is wrong. */
#define INVARIANT(claim)                                  \
    do {                                                  \
        if (!(claim))                                     \
            invariant_failed(#claim, __FILE__, __LINE__); \
    } while (0)

/* A place that no path of the program leads to. */
#define IMPOSSIBLE(what) invariant_failed((what), __FILE__, __LINE__)

NORETURN void invariant_failed(const char *claim, const char *file, int line);

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
