#include "tool/sendmail_origin.h"

#include "codec/header.h"
#include "codec/params.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ANCESTORS_MAX = 4, FILE_MAX = 4096 };

/* What may be said in a parameter; a path too long keeps its end, where the name is. */
static slice printable(struct arena *a, slice s, bool keeps_end)
{
    s = slice_trim(s);
    if (s.len > PARAMS_SCRIPT_MAX)
        s = keeps_end ? slice_from(s, s.len - PARAMS_SCRIPT_MAX)
                      : slice_to(s, PARAMS_SCRIPT_MAX);
    char *copy = arena_alloc(a, s.len + 1);
    for (size_t i = 0; i < s.len; i++)
        copy[i] = s.ptr[i] < ' ' || s.ptr[i] > '~' ? '?' : s.ptr[i];
    return slice_make(copy, s.len);
}

/* "33:contact.php", as PHP writes it. */
static slice of_header(struct arena *a, slice header)
{
    struct header_field f;
    while (header.len > 0 && header_next(&header, &f) == HEADER_FIELD)
        if (slice_ieq(f.name, SLICE("X-PHP-Originating-Script")))
            return header_unfold(a, f.value);
    return (slice){0};
}

static slice read_proc(struct arena *a, long pid, const char *name)
{
    char path[64];
    char *text = arena_alloc(a, FILE_MAX);
    snprintf(path, sizeof(path), "/proc/%ld/%s", pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, FILE_MAX) : -1;
    if (fd >= 0)
        close(fd);
    return slice_make(text, n > 0 ? (size_t)n : 0);
}

/* The fourth word of stat, behind the name in parentheses, which may hold anything. */
static long parent_of(struct arena *a, long pid)
{
    slice stat = read_proc(a, pid, "stat");
    ptrdiff_t end = slice_rfind(stat, ')');
    uint64_t parent = 0;
    slice word;
    slice rest = slice_from(stat, end < 0 ? stat.len : (size_t)end + 2);
    slice_split(&rest, ' ', &word); /* the state */
    if (!slice_split(&rest, ' ', &word) || !slice_to_u64(word, &parent))
        return 0;
    return (long)parent;
}

static bool is_shell(slice program)
{
    static const slice shells[] = {SLICE_INIT("sh"), SLICE_INIT("dash"), SLICE_INIT("bash")};
    ptrdiff_t slash = slice_rfind(program, '/');
    slice name = slice_from(program, (size_t)(slash + 1));
    for (size_t i = 0; i < COUNT_OF(shells); i++)
        if (slice_eq(name, shells[i]))
            return true;
    return false;
}

/* The command line of the nearest ancestor that is no shell of popen(). */
static slice of_ancestor(struct arena *a)
{
    long pid = getppid();
    for (int i = 0; i < ANCESTORS_MAX && pid > 1; i++, pid = parent_of(a, pid)) {
        slice line = read_proc(a, pid, "cmdline");
        slice rest = line;
        slice program;
        if (!slice_split(&rest, '\0', &program))
            return (slice){0};
        if (is_shell(program) && slice_starts(rest, SLICE("-c")))
            continue;
        char *text = arena_alloc(a, line.len);
        for (size_t k = 0; k < line.len; k++)
            text[k] = line.ptr[k] ? line.ptr[k] : ' ';
        return slice_make(text, line.len);
    }
    return (slice){0};
}

void sendmail_origin_find(struct arena *a, slice header, struct sendmail_origin *out)
{
    char *directory = arena_alloc(a, PATH_MAX);
    const char *file = getenv("SCRIPT_FILENAME");
    slice script = of_header(a, header);
    if (script.len == 0 && file)
        script = slice_of(file);
    bool is_path = script.len > 0;
    if (!is_path)
        script = of_ancestor(a);
    out->script = printable(a, script, is_path);
    out->directory =
        getcwd(directory, PATH_MAX) ? printable(a, slice_of(directory), true) : (slice){0};
}
