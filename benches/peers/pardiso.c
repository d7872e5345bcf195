// MKL PARDISO for symmetric positive definite matrices; the lower triangle by columns is the upper one by rows.
#include "common.h"
#include <mkl_pardiso.h>
#include <mkl_types.h>

static void *handle[64];
static MKL_INT options[64], one = 1, type = 2, n, sides = 1, quiet = 0;
static Matrix m;
static double *b, *x;

static void phase(MKL_INT which) {
    MKL_INT error = 0, unused = 0;
    pardiso(handle, &one, &one, &type, &which, &n, m.value, m.start, m.row, &unused, &sides, options, &quiet, b, x, &error);
    if (error) fail("PARDISO failed");
}

static void command(char c) {
    if (c == 'f') phase(22);
    if (c == 's') phase(33);
}

int main(int argc, char **argv) {
    if (argc != 2) fail("usage: pardiso MATRIX");
    m = read_matrix(argv[1]);
    n = (MKL_INT)m.n;
    b = malloc(8 * n), x = malloc(8 * n);
    for (MKL_INT k = 0; k < n; k++) b[k] = 1;
    options[0] = 1;  // options below, not the defaults
    options[1] = 2;  // METIS
    options[34] = 1; // indices from zero
    phase(11);
    printf("%.0f\n", (double)options[17]);
    fflush(stdout);
    serve(command);
    return 0;
}
