#include "textflag.h"

// The caller is the runtime, on the system stack and by the C calling convention: DI is the clock, SI points to the result.
TEXT ·steppedClock(SB), NOSPLIT|NOFRAME, $0-0
	PUSHQ DI
	PUSHQ SI
	SUBQ  $8, SP          // C functions want SP at a multiple of 16
	MOVQ  ·original(SB), AX
	CALL  AX
	ADDQ  $8, SP
	POPQ  SI
	POPQ  DI
	TESTL DI, DI          // CLOCK_REALTIME
	JNE   done
	MOVQ  ·wrong(SB), CX
	MOVQ  (CX), CX
	ADDQ  CX, (SI)

done:
	RET

TEXT ·steppedClockAddress(SB), NOSPLIT, $0-8
	LEAQ ·steppedClock(SB), AX
	MOVQ AX, ret+0(FP)
	RET
