package clock

import _ "unsafe" // for linkname

const canFollow = true

// kernelClock is the address of the kernel's clock_gettime, which the runtime calls for every time.Now.
//
//go:linkname kernelClock runtime.vdsoClockgettimeSym
var kernelClock uintptr

var (
	original uintptr // kernelClock, before it was replaced
	wrong    *int64  // by how many seconds the wall clock is wrong
)

// steppedClock is called in place of original: it adds *wrong to the seconds of CLOCK_REALTIME.
func steppedClock()

// steppedClockAddress is where steppedClock begins.
func steppedClockAddress() uintptr

// follow replaces the kernel's clock.
func follow(step *int64) {
	if kernelClock == 0 {
		panic("clock: the kernel has no clock_gettime in its vDSO")
	}
	original, wrong = kernelClock, step
	kernelClock = steppedClockAddress()
}
