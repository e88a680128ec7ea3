// In how many ways can N queens stand on an N x N board, so that none attacks another?
//
// Each invocation (x, y, z) has three queens given, in columns x, y and z of the first three rows, and counts the ways
// to go on from there: row after row, and one row back where no square is left.

// 5 to 13. On a smaller board there is nothing left to search; on a larger one an invocation would search for too long.
override N: u32 = 12u;

@group(0) @binding(0) var<storage, read_write> solutions: array<u32>;

// The columns that have a queen, and the diagonals of both directions, a bit for each.
struct Board { columns: u32, falling: u32, rising: u32 }

// The squares of a row that no queen attacks, a bit for each. Along one kind of diagonal column + row stays the same,
// along the other column - row, so a shift by the row turns bits of diagonals into bits of columns.
fn free(board: Board, row: u32) -> u32 {
    let attacked = board.columns | (board.rising >> row) | (board.falling >> (N - 1u - row));
    return ~attacked & ((1u << N) - 1u);
}

// A queen comes to a square, or goes if it is there.
fn toggled(board: Board, row: u32, square: u32) -> Board {
    return Board(board.columns ^ square, board.falling ^ (square << (N - 1u - row)), board.rising ^ (square << row));
}

@compute @workgroup_size(4, 4, 2)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    // Workgroups at the rim are larger than what is left of the board.
    if any(id >= vec3(N)) {
        return;
    }
    var board = Board();
    for (var row = 0u; row < 3u; row++) {
        let square = 1u << id[row];
        // Slots begin as zeros, and that is the answer.
        if (free(board, row) & square) == 0u {
            return;
        }
        board = toggled(board, row, square);
    }

    var count = 0u;
    var row = 3u;
    var left = free(board, row);
    // Shaders have no recursion. This is what its calls would keep: each row's queen, and the squares it has not tried.
    var queens: array<u32, 16>;
    var untried: array<u32, 16>;
    loop {
        // Back to the last row that has a square left.
        while left == 0u && row > 3u {
            row--;
            board = toggled(board, row, queens[row]);
            left = untried[row];
        }
        if left == 0u {
            break;
        }
        let square = left & (~left + 1u); // the lowest bit
        queens[row] = square;
        untried[row] = left ^ square;
        board = toggled(board, row, square);
        row++;
        left = free(board, row);
        if row == N - 1u {
            // Whatever is free in the last row completes a board.
            count += countOneBits(left);
            left = 0u;
        }
    }
    solutions[(id.z * N + id.y) * N + id.x] = count;
}
