import subprocess
import sys


def test_the_peak_is_of_the_process_and_stays_after_memory_is_given_back():
    code = (
        "from stillroom.core.memory import peak_memory\n"
        "before = peak_memory(); held = bytearray(200_000_000); del held; print(before, peak_memory())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = map(float, done.stdout.split())
    assert before < 150
    assert 190 < after - before < 210
