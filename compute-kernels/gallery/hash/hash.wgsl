// Looks for a number that, written behind a message, gives a SHA-256 with many leading zeros: the work of "proof of
// work".
//
// The number is eight hexadecimal digits, so that anybody can check it with sha256sum. Message and digits fit one block
// of 64 bytes. Each invocation tries NONCES numbers, and says which was best.

override NONCES: u32 = 64u;

// Its bytes, at most 44, and a multiple of four.
@group(0) @binding(0) var<storage, read> message: array<u32>;
// Two numbers each: the best number, and the zero bits that its hash begins with.
@group(0) @binding(1) var<storage, read_write> best: array<u32>;

// The first 32 bits behind the point of the cube roots of the first 64 primes (FIPS 180-4, section 4.2.2).
var<private> k: array<u32, 64> = array<u32, 64>(
    0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u, 0x3956c25bu, 0x59f111f1u, 0x923f82a4u, 0xab1c5ed5u,
    0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u, 0x72be5d74u, 0x80deb1feu, 0x9bdc06a7u, 0xc19bf174u,
    0xe49b69c1u, 0xefbe4786u, 0x0fc19dc6u, 0x240ca1ccu, 0x2de92c6fu, 0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau,
    0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u, 0xc6e00bf3u, 0xd5a79147u, 0x06ca6351u, 0x14292967u,
    0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu, 0x53380d13u, 0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u,
    0xa2bfe8a1u, 0xa81a664bu, 0xc24b8b70u, 0xc76c51a3u, 0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u,
    0x19a4c116u, 0x1e376c08u, 0x2748774cu, 0x34b0bcb5u, 0x391c0cb3u, 0x4ed8aa4au, 0x5b9cca4fu, 0x682e6ff3u,
    0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u, 0x90befffau, 0xa4506cebu, 0xbef9a3f7u, 0xc67178f2u,
);

// The block that is hashed. A private variable, because as an argument it would be copied.
var<private> w: array<u32, 16>;

fn rotated(x: u32, by: u32) -> u32 {
    return (x >> by) | (x << (32u - by));
}

// The first two words of the hash of `w`, which is used up (FIPS 180-4, section 6.2.2).
fn hashed() -> vec2<u32> {
    // What follows the point of the square roots of the first eight primes.
    var a = 0x6a09e667u;
    var b = 0xbb67ae85u;
    var c = 0x3c6ef372u;
    var d = 0xa54ff53au;
    var e = 0x510e527fu;
    var f = 0x9b05688cu;
    var g = 0x1f83d9abu;
    var h = 0x5be0cd19u;
    for (var t = 0u; t < 64u; t++) {
        // The schedule only looks 16 words back, so 16 words are enough, used in a ring.
        let i = t % 16u;
        if t >= 16u {
            let x = w[(t + 1u) % 16u];
            let y = w[(t + 14u) % 16u];
            w[i] += (rotated(x, 7u) ^ rotated(x, 18u) ^ (x >> 3u)) + w[(t + 9u) % 16u]
                + (rotated(y, 17u) ^ rotated(y, 19u) ^ (y >> 10u));
        }
        let one = h + (rotated(e, 6u) ^ rotated(e, 11u) ^ rotated(e, 25u)) + ((e & f) ^ (~e & g)) + k[t] + w[i];
        let two = (rotated(a, 2u) ^ rotated(a, 13u) ^ rotated(a, 22u)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g;
        g = f;
        f = e;
        e = d + one;
        d = c;
        c = b;
        b = a;
        a = one + two;
    }
    return vec2(a + 0x6a09e667u, b + 0xbb67ae85u);
}

// Four hexadecimal digits of a number below 65536, a byte each.
fn digits(n: u32) -> u32 {
    var v = ((n << 8u) & 0xff0000u) | (n & 0xffu);
    v = ((v << 4u) & 0x0f000f00u) | (v & 0x000f000fu);
    // Above 9 they go on with `a`, 39 places behind where the next digit would be; plus 6, those have bit 4 set.
    return v + 0x30303030u + 39u * (((v + 0x06060606u) >> 4u) & 0x01010101u);
}

// The block of the message and a number: then one bit more, zeros, and the length in bits.
fn fill(nonce: u32) {
    let words = min(arrayLength(&message), 11u);
    for (var i = 0u; i < 16u; i++) {
        // Inputs have the lowest byte first, SHA-256 the highest.
        let m = message[i];
        let swapped = (m >> 24u) | ((m >> 8u) & 0xff00u) | ((m << 8u) & 0xff0000u) | (m << 24u);
        w[i] = select(0u, swapped, i < words);
    }
    w[words] = digits(nonce >> 16u);
    w[words + 1u] = digits(nonce & 0xffffu);
    w[words + 2u] = 0x80000000u;
    w[15] = (words + 2u) * 32u;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let first = id.x * NONCES;
    var found = vec2(first, 0u);
    for (var i = 0u; i < NONCES; i++) {
        fill(first + i);
        let hash = hashed();
        let zeros = countLeadingZeros(hash.x) + select(0u, countLeadingZeros(hash.y), hash.x == 0u);
        if zeros > found.y {
            found = vec2(first + i, zeros);
        }
    }
    best[2u * id.x] = found.x;
    best[2u * id.x + 1u] = found.y;
}
