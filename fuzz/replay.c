/* replay: runs a fuzz target over files without libFuzzer: `replay_NAME FILE|DIRECTORY…`. Fails
 * when there is nothing to run, so that a lost corpus is noticed. */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { FILE_MAX = 16 * 1024 * 1024, PATH_SIZE = 4096 };

static void fail(const char *path)
{
    fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
    exit(1);
}

/* The input is as large as its memory, so that a sanitizer sees each byte read beyond it. */
static void run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail(path);
    char *text = malloc(FILE_MAX);
    if (!text)
        fail(path);
    size_t len = fread(text, 1, FILE_MAX, file);
    if (ferror(file))
        fail(path);
    fclose(file);
    uint8_t *exact = malloc(len ? len : 1);
    if (!exact)
        fail(path);
    memcpy(exact, text, len);
    free(text);
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(exact, len);
    free(exact);
}

static unsigned run_directory(const char *path, DIR *dir)
{
    unsigned count = 0;
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        char name[PATH_SIZE];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        run_file(name);
        count++;
    }
    return count;
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        if (dir) {
            count += run_directory(argv[i], dir);
            closedir(dir);
        } else {
            run_file(argv[i]);
            count++;
        }
    }
    if (count == 0)
        fprintf(stderr, "replay: nothing to run\n");
    else
        printf("replayed %u inputs\n", count);
    return count == 0;
}
