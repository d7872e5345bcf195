// CHOLMOD's supernodal Cholesky: ordering `m` (METIS) or `a` (AMD), whichever the caller names.
#include "common.h"
#include <cblas.h>
#include <suitesparse/cholmod.h>

enum { RIGHT_SIDES = 64, DGEMM = 1024 };

static cholmod_common common;
static cholmod_sparse *a;
static cholmod_factor *l;
static cholmod_dense *one, *many, *x, *y, *e;
static double *da, *db, *dc;

static void command(char c) {
    if (c == 'f') {
        if (!cholmod_factorize(a, l, &common) || common.status) fail("not positive definite");
    } else if (c == 'a') {
        cholmod_factor *again = cholmod_analyze(a, &common);
        cholmod_free_factor(&again, &common);
    } else if (c == 's') {
        cholmod_solve2(CHOLMOD_A, l, one, NULL, &x, NULL, &y, &e, &common);
    } else if (c == 'd') {
        cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, DGEMM, DGEMM, DGEMM, 1, da, DGEMM, db, DGEMM, 0, dc, DGEMM);
    } else if (c == 'm') {
        cholmod_dense *z = cholmod_solve(CHOLMOD_A, l, many, &common);
        cholmod_free_dense(&z, &common);
    }
}

int main(int argc, char **argv) {
    if (argc != 3) fail("usage: cholmod MATRIX m|a");
    Matrix m = read_matrix(argv[1]);
    cholmod_start(&common);
    common.supernodal = CHOLMOD_SUPERNODAL;
    common.final_ll = 1;
    common.nmethods = 1;
    common.method[0].ordering = argv[2][0] == 'm' ? CHOLMOD_METIS : CHOLMOD_AMD;
    common.print = 0;
    a = cholmod_allocate_sparse(m.n, m.n, m.nnz, 1, 1, -1, CHOLMOD_REAL, &common);
    memcpy(a->p, m.start, 4 * (m.n + 1));
    memcpy(a->i, m.row, 4 * m.nnz);
    memcpy(a->x, m.value, 8 * m.nnz);
    l = cholmod_analyze(a, &common);
    one = cholmod_ones(m.n, 1, CHOLMOD_REAL, &common);
    many = cholmod_ones(m.n, RIGHT_SIDES, CHOLMOD_REAL, &common);
    da = malloc(8 * DGEMM * DGEMM), db = malloc(8 * DGEMM * DGEMM), dc = malloc(8 * DGEMM * DGEMM);
    for (int k = 0; k < DGEMM * DGEMM; k++) da[k] = db[k] = 1.0 / (k + 1);
    printf("%.0f\n", common.lnz);
    fflush(stdout);
    serve(command);
    return 0;
}
