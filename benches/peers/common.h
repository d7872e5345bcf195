// What the drivers share: the matrix file (int64 n, int64 nnz, int32 column starts, int32 rows, double values of the lower
// triangle), a clock, and the loop that carries out one timed command a line.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
    int64_t n, nnz;
    int *start, *row;
    double *value;
} Matrix;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static Matrix read_matrix(const char *path) {
    Matrix m;
    FILE *f = fopen(path, "rb");
    if (!f || fread(&m.n, 8, 1, f) != 1 || fread(&m.nnz, 8, 1, f) != 1) fail("no matrix");
    m.start = malloc(4 * (m.n + 1));
    m.row = malloc(4 * m.nnz);
    m.value = malloc(8 * m.nnz);
    if (fread(m.start, 4, m.n + 1, f) != (size_t)m.n + 1 || fread(m.row, 4, m.nnz, f) != (size_t)m.nnz ||
        fread(m.value, 8, m.nnz, f) != (size_t)m.nnz)
        fail("matrix cut short");
    fclose(f);
    return m;
}

// Carries out `command` for each line of the input, and prints how many seconds it took.
static void serve(void (*command)(char)) {
    char line[16];
    while (fgets(line, sizeof line, stdin)) {
        double t = now();
        command(line[0]);
        printf("%.9f\n", now() - t);
        fflush(stdout);
    }
}
