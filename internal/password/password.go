// Package password hashes and checks the passwords of people: argon2id, with
// bcrypt accepted on import. It bounds how much memory and CPU hashing takes.
// It leaves to its callers whose password it is.
package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/semaphore"
)

// Limits of what is hashed, in bytes. A longer password is refused before any
// work is done.
const (
	MinLength = 8
	MaxLength = 1024
)

// Errors of hashes and passwords.
var (
	ErrFormat = errors.New("is neither an argon2id PHC string nor a bcrypt hash with cost 4 to 14")
	ErrLength = fmt.Errorf("a password has %d to %d bytes", MinLength, MaxLength)
)

// The argon2id parameters of new hashes: 19 MiB, two passes, one lane (OWASP's
// first choice for the least memory), about 40 ms of one core.
const (
	memoryKiB = 19 * 1024
	passes    = 2
	lanes     = 1
	saltSize  = 16
	sumSize   = 32
)

// maxMemoryKiB and maxPasses bound the work that a stored hash may ask for.
const (
	minMemoryKiB = 1024
	maxMemoryKiB = 256 * 1024
	minSalt      = 8
	minSum       = 16
	maxSum       = 64
	maxPasses    = 16
	maxLanes     = 16
	maxCost      = 14
)

// Hasher hashes passwords, on half of the cores at most: a flood of sign-ins must
// starve neither memory nor the token endpoint.
type Hasher struct {
	slots *semaphore.Weighted
	dummy string
}

// NewHasher returns a hasher with a slot for each two cores.
func NewHasher() *Hasher {
	h := &Hasher{slots: semaphore.NewWeighted(int64(max(1, runtime.GOMAXPROCS(0)/2)))}
	h.dummy = encode(make([]byte, saltSize), make([]byte, sumSize))
	return h
}

// Hash returns an argon2id PHC string. It fails with ErrLength, or when ctx
// ends before a slot is free.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if len(password) < MinLength || len(password) > MaxLength {
		return "", ErrLength
	}
	if err := h.slots.Acquire(ctx, 1); err != nil {
		return "", fmt.Errorf("waiting to hash: %w", err)
	}
	defer h.slots.Release(1)
	salt := make([]byte, saltSize)
	rand.Read(salt)
	return encode(salt, argon2.IDKey([]byte(password), salt, passes, memoryKiB, lanes, sumSize)), nil
}

// Result is what Check found.
type Result struct {
	// Match says that the password is right.
	Match bool
	// Stale says that the hash is of an older kind: hash the password again.
	Stale bool
}

// Check compares. An empty hash stands for an unknown user: it takes as long as
// a wrong password and never matches. It fails with ErrFormat, or when ctx ends
// before a slot is free.
func (h *Hasher) Check(ctx context.Context, hash, password string) (Result, error) {
	if len(password) > MaxLength {
		return Result{}, nil
	}
	known := hash != ""
	if !known {
		hash = h.dummy
	}
	if err := h.slots.Acquire(ctx, 1); err != nil {
		return Result{}, fmt.Errorf("waiting to check: %w", err)
	}
	defer h.slots.Release(1)
	if strings.HasPrefix(hash, "$2") {
		return Result{Match: bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil, Stale: true}, nil
	}
	p, err := decode(hash)
	if err != nil {
		return Result{}, err
	}
	sum := argon2.IDKey([]byte(password), p.salt, p.passes, p.memory, p.lanes, uint32(len(p.sum))) //nolint:gosec // decode bounds the length
	match := subtle.ConstantTimeCompare(sum, p.sum) == 1 && known
	return Result{Match: match, Stale: p.passes != passes || p.memory != memoryKiB}, nil
}

// Valid reports whether hash is one that Check can work with, without hashing.
func Valid(hash string) error {
	if strings.HasPrefix(hash, "$2") {
		cost, err := bcrypt.Cost([]byte(hash))
		if err != nil || cost > maxCost {
			return ErrFormat
		}
		return nil
	}
	_, err := decode(hash)
	return err
}

type phc struct {
	memory, passes uint32
	lanes          uint8
	salt, sum      []byte
}

func encode(salt, sum []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memoryKiB, passes, lanes,
		b64.EncodeToString(salt), b64.EncodeToString(sum))
}

func decode(hash string) (phc, error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return phc{}, ErrFormat
	}
	var p phc
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &p.lanes); n != 3 || err != nil {
		return phc{}, ErrFormat
	}
	var errSalt, errSum error
	p.salt, errSalt = base64.RawStdEncoding.DecodeString(parts[4])
	p.sum, errSum = base64.RawStdEncoding.DecodeString(parts[5])
	if errSalt != nil || errSum != nil || !p.bounded() {
		return phc{}, ErrFormat
	}
	return p, nil
}

// bounded refuses parameters that would take too much, or protect too little.
func (p phc) bounded() bool {
	return between(p.memory, minMemoryKiB, maxMemoryKiB) && between(p.passes, 1, maxPasses) && between(uint32(p.lanes), 1, maxLanes) &&
		len(p.salt) >= minSalt && len(p.sum) >= minSum && len(p.sum) <= maxSum
}

func between(n, low, high uint32) bool { return n >= low && n <= high }
