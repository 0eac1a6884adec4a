# The CUDA backend is optional. With it, files in folders named cuda/ and *_with_cuda.cc are built; without it, *_without_cuda.cc in
# their stead: no source asks. cudart is linked statically and looks for the driver when it is first used, so one program
# runs with and without a GPU; cuBLASLt is loaded when an engine is made (kernels/cuda/matmul_library.cc).
set(BATON_CUDA AUTO CACHE STRING "Build the CUDA backend (Hopper): AUTO (where nvcc is found), ON or OFF")
set_property(CACHE BATON_CUDA PROPERTY STRINGS AUTO ON OFF)
set(BATON_HAS_CUDA OFF)
if(NOT BATON_CUDA STREQUAL "OFF")
  find_program(BATON_NVCC nvcc HINTS ENV CUDA_PATH ENV CUDA_HOME PATHS /usr/local/cuda PATH_SUFFIXES bin)
  if(BATON_NVCC)
    set(BATON_HAS_CUDA ON)
  elseif(BATON_CUDA STREQUAL "ON")
    message(FATAL_ERROR "BATON_CUDA=ON, but nvcc was not found: install CUDA 13 or set CUDA_HOME, or configure with -DBATON_CUDA=OFF")
  endif()
endif()
if(NOT BATON_HAS_CUDA)
  message(STATUS "CUDA: not built")
  return()
endif()

set(CMAKE_CUDA_COMPILER ${BATON_NVCC})
set(CMAKE_CUDA_ARCHITECTURES OFF)  # named in the flags: only the gencode form knows 90a everywhere
if(CCACHE)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE})
endif()
# The same in every preset, so that a kernel is compiled once for all of them: sanitizers do not reach device code.
set(CMAKE_CUDA_FLAGS "-gencode=arch=compute_90a,code=sm_90a -std=c++20 -O3 -lineinfo -Xcompiler=-fPIC -Xcompiler=-Wall --expt-relaxed-constexpr -diag-suppress=177" CACHE STRING "nvcc's flags")
foreach(type DEBUG RELEASE RELWITHDEBINFO MINSIZEREL)
  set(CMAKE_CUDA_FLAGS_${type} "" CACHE STRING "nvcc's flags, by type of build")
endforeach()
set(CMAKE_CUDA_STANDARD_REQUIRED OFF)
enable_language(CUDA)
find_package(CUDAToolkit 13 REQUIRED)
message(STATUS "CUDA: ${CUDAToolkit_VERSION}, ${BATON_NVCC}")
