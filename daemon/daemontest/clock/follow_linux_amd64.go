package clock

import _ "unsafe" // for linkname

const canFollow = true

// kernelClock is the address of the kernel's clock_gettime, which the runtime calls for every time.Now.
//
//go:linkname kernelClock runtime.vdsoClockgettimeSym
var kernelClock uintptr

var (
	//lint:ignore U1000 read by steppedClock
	original uintptr // kernelClock, before it was replaced
	//lint:ignore U1000 read by steppedClock
	wrong *int64 // by how many seconds the wall clock is wrong
)

// steppedClock is called in place of original: it adds *wrong to the seconds of CLOCK_REALTIME.
//
//lint:ignore U1000 assembly takes its address
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
